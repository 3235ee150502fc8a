import type { ClientList, ClientPage, ClientView } from "./views.ts";

/** Cuts a page out of the clients of one hub or relay. Pages follow the ids, so a client that leaves shifts no page. */
export function clientList(clients: readonly ClientView[], { after, limit }: ClientPage): ClientList {
  const rest = clients.filter(({ id }) => id > after).toSorted((a, b) => (a.id < b.id ? -1 : 1));
  const page = rest.slice(0, limit);
  return { clients: page, next: rest.length > limit ? (page.at(-1)?.id ?? null) : null };
}
