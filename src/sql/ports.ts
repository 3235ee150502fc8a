import { hexDigest } from "../auth/digest.ts";
import type { DirectoryPort, TicketsPort } from "../service/host.ts";
import type { Directory } from "./directory.ts";
import type { Sql } from "./sql.ts";
import type { TicketTable } from "./ticket-table.ts";

/** The port of a directory in the same process. */
export function directoryPort(directory: Directory, sql: Sql): DirectoryPort {
  return {
    look: async (channel) => directory.look(channel),
    enter: async (channel, entrant) => {
      directory.enter(channel, entrant);
      await sql.sync();
    },
    occupied: async (after) => directory.occupied(after),
    active: async (limit) => directory.active(limit),
    drainAll: async (until) => directory.drainAll(until),
    resumeAll: async () => directory.resumeAll(),
    drained: async (after) => directory.drained(after),
    resumed: async (channel, epoch) => directory.resumed(channel, epoch),
    drain: async (channel, until) => directory.drain(channel, until),
    resume: async (channel) => directory.resume(channel),
    stop: async () => directory.stop(),
  };
}

/** The port of a table of tickets in the same process. The table gets only the digest of a ticket. */
export function ticketsPort(tickets: TicketTable, sql: Sql): TicketsPort {
  return {
    keep: async (ticket, principal, expiresAt, address) => {
      const isKept = tickets.keep({ digest: await hexDigest(ticket), principal, expiresAt, address });
      await sql.sync();
      return isKept;
    },
    // Durable before it opens a stream: after a crash, a used ticket must not work again.
    take: async (ticket) => {
      const principal = tickets.take(await hexDigest(ticket));
      await sql.sync();
      return principal;
    },
  };
}
