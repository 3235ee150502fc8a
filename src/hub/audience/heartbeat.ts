import type { HubSettings } from "../hub-settings.ts";
import type { Client } from "./client.ts";

/** The idle clients that were sent nothing since a time: a heartbeat keeps their streams open, and shows the dead ones. */
export function quietClients(clients: Iterable<Client>, since: number): Client[] {
  return Array.from(clients).filter((client) => client.pendingSince === null && client.writtenAt <= since);
}

/** The clients whose oldest pending write was not taken in time. */
export function stalledClients(clients: Iterable<Client>, now: number, settings: HubSettings): Client[] {
  return Array.from(clients).filter((client) => now >= stalledAt(client, settings));
}

/**
 * When the next client is due for a heartbeat or counts as stalled, in ms since the epoch; Infinity if none is.
 *
 * @param canDrop false while too many streams linger. A stalled client cannot be dropped then, and looking again at once
 * would ring without end.
 */
export function nextDue(
  clients: Iterable<Client>,
  now: number,
  settings: HubSettings,
  canDrop: boolean,
): number {
  const dropFrom = canDrop ? 0 : now + settings.heartbeatIntervalMs;
  let due = Number.POSITIVE_INFINITY;
  for (const client of clients) {
    const heartbeatAt = client.writtenAt + settings.heartbeatIntervalMs;
    // A client with a pending write gets its next heartbeat once the write is taken, however late that is.
    if (client.pendingSince === null || heartbeatAt > now) {
      due = Math.min(due, heartbeatAt);
    }
    due = Math.min(due, Math.max(dropFrom, stalledAt(client, settings)));
  }
  return due;
}

function stalledAt({ pendingSince }: Client, { connectionTimeoutMs }: HubSettings): number {
  return (pendingSince ?? Number.POSITIVE_INFINITY) + connectionTimeoutMs;
}
