import type { Filter } from "./filter.ts";

/** The port to one open response. */
export interface ClientStream {
  /** Resolves when the bytes were taken off our hands; rejects when the peer is gone. Not awaited by the hub. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the response after what was written. Resolves when the end was taken or the peer is gone. */
  end(): Promise<void>;
  /** Resolves when the runtime reports that the peer has left. */
  readonly gone: Promise<void>;
}

/** Why a client is no longer in the registry. */
export type LeaveReason =
  | "client_left"
  | "slow_client"
  | "max_age"
  | "token_expired"
  | "kicked"
  | "drain"
  | "shutdown";

/** What is known of a client when it connects. */
export interface ClientOptions {
  readonly id: string;
  readonly filter: Filter;
  readonly stream: ClientStream;
  /** Where it comes from, as far as that is limited; null: it is not. */
  readonly address: string | null;
  readonly now: number;
  /** The seq after which it gets events. */
  readonly cursor: number;
  /** The id it came back with; null for a first connect. */
  readonly resumedFrom: string | null;
  /** When its stream is too old; null: never. */
  readonly expiresAt: number | null;
  /** When the token ends that let it in; null: never. */
  readonly tokenEndsAt: number | null;
}

/** One open response: a cursor into the log, and a filter. */
export class Client {
  readonly id: string;
  readonly filter: Filter;
  readonly stream: ClientStream;
  readonly address: string | null;
  readonly connectedAt: number;
  readonly resumedFrom: string | null;
  readonly expiresAt: number | null;
  readonly tokenEndsAt: number | null;

  /** The seq up to which it was sent everything that its filter lets through. */
  cursor: number;
  /** The last id on its wire. Behind the cursor when the filter has hidden events since. */
  toldCursor: number;
  /** When it was last sent bytes. */
  writtenAt: number;
  /** Since when a write waits to be taken; null: idle. A client has one pending write at most. */
  pendingSince: number | null = null;
  /** When it was last sent an event of a publisher; null: never. */
  lastEventAt: number | null = null;
  eventsSent = 0;
  /** The sweep that waits for its pending write; 0: none does. */
  awaitedBy = 0;
  /** A sweep has given up on it: none waits for it until it takes a write promptly. */
  busy = false;
  /** It was told that its token ends. */
  isWarned = false;
  /** After a failed read of the log: no sweep serves it before. */
  retryAt = 0;

  constructor(options: ClientOptions) {
    this.id = options.id;
    this.filter = options.filter;
    this.stream = options.stream;
    this.address = options.address;
    this.connectedAt = options.now;
    this.writtenAt = options.now;
    this.resumedFrom = options.resumedFrom;
    this.expiresAt = options.expiresAt;
    this.tokenEndsAt = options.tokenEndsAt;
    this.cursor = options.cursor;
    this.toldCursor = options.cursor;
  }
}
