import type { Filter } from "../filter.ts";

/** The port to one open response. */
export interface ClientStream {
  /** Resolves when the runtime has accepted the bytes; rejects when the peer is gone. The hub does not wait for it. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the response after the bytes that were written. Resolves when the end was accepted or the peer is gone. */
  end(): Promise<void>;
  /** Resolves when the runtime reports that the peer has left. */
  readonly gone: Promise<void>;
}

/** Why a client left the registry. */
export type LeaveReason =
  | "client_left"
  | "slow_client"
  | "max_age"
  | "token_expired"
  | "kicked"
  | "limit"
  | "replaced"
  | "drain"
  | "shutdown";

/** How long before the end of its token a client is warned. */
const TOKEN_WARNING_MS = 30_000;

/** What is known about a client when it connects. */
export interface ClientOptions {
  readonly id: string;
  readonly filter: Filter;
  readonly stream: ClientStream;
  readonly now: number;
  /** The seq after which it gets events. */
  readonly cursor: number;
  /** The `generation` of the view to which the cursor belongs. Default 0. */
  readonly generation?: number;
  /** The id that the client brought; null for a first connect. */
  readonly resumedFrom: string | null;
  /** The key by which the limits per address count; null if they do not apply. */
  readonly address: string | null;
  /** When its stream becomes too old; Infinity for never. */
  readonly expiresAt: number;
  /** When its token ends. From then on it gets no events. Infinity for never. */
  readonly tokenEndsAt: number;
  /** Default: false. */
  readonly isRelay?: boolean;
  /** Whether it gets the named frames of the service as comments. */
  readonly isBare: boolean;
  /** Whether to tell it when it has caught up with the head. */
  readonly isCatchingUp: boolean;
}

/** One open response: a cursor into the log, and a filter. Each field that changes is written by one class only. */
export class Client {
  readonly id: string;
  readonly filter: Filter;
  readonly stream: ClientStream;
  readonly connectedAt: number;
  readonly resumedFrom: string | null;
  readonly address: string | null;
  readonly expiresAt: number;
  readonly tokenEndsAt: number;
  /** Whether it is a relay, which has clients itself. */
  readonly isRelay: boolean;
  readonly isBare: boolean;

  // Written by `Broadcaster`.

  /** The client was sent every event up to this seq that its filter lets through. */
  cursor: number;
  /** The last id that the client was sent. Behind the cursor if the filter has hidden events since. */
  lastSentId: number;
  /** The `generation` of the view to which the cursor belongs. */
  generation: number;
  /** The client asked to be told when it has caught up with the head, and has not been told yet. */
  isCatchingUp: boolean;
  /** The next page is being fetched. No sweep serves the client meanwhile. */
  isFetching = false;
  /** After a failed read of the log, no sweep serves the client before this time. */
  retryAt = 0;

  // Written by `PendingWrites`.

  /** When the last bytes were written. */
  writtenAt: number;
  /** When the pending write was made; null if the client is idle. A client has one pending write at most. */
  pendingSince: number | null = null;
  /** When the client last accepted events; null for never. */
  lastEventAt: number | null = null;
  eventsSent = 0;
  /** The number of the sweep that waits for the pending write; 0 if none does. */
  awaitedBy = 0;
  /** A sweep gave up waiting for the client. Sweeps do not wait for it until it accepts a write in time. */
  isLate = false;

  // Written by `StreamAges`.

  /** When to warn the client that its token ends soon; Infinity for never, or if it was warned. */
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
    this.isRelay = options.isRelay ?? false;
    this.isBare = options.isBare;
    this.isCatchingUp = options.isCatchingUp;
    this.warnAt = options.tokenEndsAt - TOKEN_WARNING_MS;
    this.cursor = options.cursor;
    this.lastSentId = options.cursor;
    this.generation = options.generation ?? 0;
  }
}
