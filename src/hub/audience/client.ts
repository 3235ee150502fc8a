import type { Filter } from "../filter.ts";

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

/** A client is told so long before that its token ends. */
const TOKEN_WARNING_MS = 30_000;

/** What is known of a client when it connects. */
export interface ClientOptions {
  readonly id: string;
  readonly filter: Filter;
  readonly stream: ClientStream;
  readonly now: number;
  /** The seq after which it gets events. */
  readonly cursor: number;
  /** The id it came back with; null for a first connect. */
  readonly resumedFrom: string | null;
  /** Where it comes from, as the limits per address count; null: they do not apply. */
  readonly address: string | null;
  /** When its stream is too old; Infinity: never. */
  readonly expiresAt: number;
  /** When its token ends: from then on it gets no more events. Infinity: never. */
  readonly tokenEndsAt: number;
}

/**
 * One open response: a cursor into the log, and a filter. The broadcaster alone moves the cursor and records the writes;
 * the stream ages alone decide on the warning.
 */
export class Client {
  readonly id: string;
  readonly filter: Filter;
  readonly stream: ClientStream;
  readonly connectedAt: number;
  readonly resumedFrom: string | null;
  readonly address: string | null;
  readonly expiresAt: number;
  readonly tokenEndsAt: number;

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
  /** Its next page is being fetched: no sweep serves it meanwhile. */
  isFetching = false;
  /** After a failed read of the log, no sweep serves it before this time. */
  retryAt = 0;
  /** When it is to be told that its token ends soon; Infinity: never, or it was told. */
  warnAt: number;

  constructor(options: ClientOptions) {
    this.id = options.id;
    this.filter = options.filter;
    this.stream = options.stream;
    this.connectedAt = options.now;
    this.writtenAt = options.now;
    this.resumedFrom = options.resumedFrom;
    this.address = options.address;
    this.expiresAt = options.expiresAt;
    this.tokenEndsAt = options.tokenEndsAt;
    this.warnAt = options.tokenEndsAt - TOKEN_WARNING_MS;
    this.cursor = options.cursor;
    this.toldCursor = options.cursor;
  }
}
