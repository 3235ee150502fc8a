import type { Gap } from "../log/log-view.ts";
import type { Client } from "./client.ts";
import type { WriteObserver } from "./pending-writes.ts";

/** What the audience has to act on. None of these methods may throw. */
export interface BroadcastObserver extends WriteObserver {
  /** Bytes were written. The audience has to notice if their client never accepts them. */
  wrote(now: number): void;
}

/** What the broadcaster reports for the counters and the log lines. None of these methods may throw. */
export interface BroadcastRecord {
  /** A sweep gave pages to this many clients, up to this seq. */
  swept(clients: number, head: number): void;
  /** The client was told that events are missing. */
  gap(client: Client, gap: Gap): void;
  /** The log could not be read for the client. */
  readFailed(client: Client, error: unknown): void;
}
