/** Where a view starts: with the last 100 events, with what is published from now on, or at a time. */
export type Start = "recent" | "live" | "10m" | "1h" | "earliest";

const STARTS: readonly string[] = ["recent", "live", "10m", "1h", "earliest"] satisfies Start[];

/** What this page looks at. It is in the address of the page, so that it can be passed on. */
export interface View {
  readonly channel: string;
  readonly types: readonly string[];
  readonly projectIds: readonly string[];
  readonly agentIds: readonly string[];
  readonly start: Start;
}

const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** Whether a text has the form of a channel's name. */
export function isChannelName(text: string): boolean {
  return CHANNEL_NAME.test(text);
}

/** The entries of a comma list, without blanks. */
export function toList(text: string): string[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

/** The view that an address asks for. */
export function readView(search: string): View {
  const query = new URLSearchParams(search);
  const start = query.get("from") ?? "";
  return {
    channel: query.get("channel") ?? "default",
    types: toList(query.get("types") ?? ""),
    projectIds: toList(query.get("project_id") ?? ""),
    agentIds: toList(query.get("agent_id") ?? ""),
    start: isStart(start) ? start : "recent",
  };
}

/** The query of the page's own address. */
export function pageQuery(view: View): string {
  const query = filterQuery(view);
  if (view.start !== "recent") {
    query.set("from", view.start);
  }
  return query.size === 0 ? "" : `?${readable(query)}`;
}

/** Channel and filter, as the routes of the service take them. */
export function filterQuery({ channel, types, projectIds, agentIds }: View): URLSearchParams {
  const query = channelQuery(channel);
  for (const [name, entries] of [
    ["types", types],
    ["project_id", projectIds],
    ["agent_id", agentIds],
  ] as const) {
    if (entries.length > 0) {
      query.set(name, entries.join(","));
    }
  }
  return query;
}

export function channelQuery(channel: string): URLSearchParams {
  return new URLSearchParams(channel === "default" ? {} : { channel });
}

/** As a person would write it: a comma needs no escape. */
export function readable(query: URLSearchParams): string {
  return query.toString().replaceAll("%2C", ",");
}

export function isStart(text: string): text is Start {
  return STARTS.includes(text);
}
