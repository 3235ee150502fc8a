import type { Clock } from "../clock.ts";
import type { Broadcaster } from "./broadcaster.ts";
import type { Client } from "./client.ts";
import type { Registry } from "./registry.ts";
import { errorFrame } from "./service-frames.ts";

/**
 * A stream ends after 80 to 100 % of the maximum age, so that clients that connected together do not reconnect
 * together.
 */
const JITTER = 0.2;

/** How often an object with streams checks that it still owns its storage. No timer runs for longer. */
const CHECK_MS = 60_000;

/** When to try again to end or warn a stream that does not accept its pending write. */
const RETRY_MS = 1_000;

const WARNING =
  "The token of this stream ends soon, and the stream ends with it. Reconnect with a new token.";

/** How streams are ended. */
export interface AgedStreams {
  /** Whether one more ended stream may linger until its peer reads the end. */
  readonly canLinger: boolean;
  leave(client: Client, reason: "max_age" | "token_expired"): void;
  /** Called after streams were ended, outside of any loop over the clients. */
  fillFreeSlots(): void;
}

/**
 * Ends streams that are too old or whose token has ended, and warns clients before their token ends.
 *
 * It uses a timer in memory and not the alarm: after a deploy the alarm rings at the new instance, and the old instance
 * has to end its streams by itself. The old instance notices the deploy because it can no longer read its storage. It
 * then ends all of its streams, and they resume at the new instance.
 *
 * While too many streams linger, a stream that does not read stays registered, because ending it would add one more. It
 * is sent nothing meanwhile, and after the end of its token no sweep serves it.
 */
export class StreamAges {
  readonly #clock: Clock;
  readonly #clients: Registry;
  readonly #broadcaster: Broadcaster;
  readonly #streams: AgedStreams;
  readonly #checkStorage: () => void;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  /** @param checkStorage throws if the storage cannot be read */
  constructor(
    clock: Clock,
    clients: Registry,
    broadcaster: Broadcaster,
    streams: AgedStreams,
    checkStorage: () => void,
  ) {
    this.#clock = clock;
    this.#clients = clients;
    this.#broadcaster = broadcaster;
    this.#streams = streams;
    this.#checkStorage = checkStorage;
  }

  /** When a stream that opens now becomes too old; Infinity for a maximum of 0, which turns ageing off. */
  static expiry(now: number, maxAgeMs: number, random: () => number): number {
    return maxAgeMs === 0 ? Number.POSITIVE_INFINITY : now + maxAgeMs * (1 - JITTER * random());
  }

  /** Sets the timer so that it rings in time for a new client. */
  watch(client: Client): void {
    const at = Math.min(endOf(client), client.warnAt);
    if (this.#timer === null || at < this.#timer.at) {
      this.#start(at);
    }
  }

  /** Stops the timer if no client is left: a timer would keep the object awake. */
  restIfEmpty(): void {
    if (this.#clients.size === 0) {
      this.#timer?.cancel();
      this.#timer = null;
    }
  }

  /** The frame that warns a client that its token ends soon; empty if the warning is not due. Each client gets one. */
  takeWarning(client: Client): string {
    if (this.#clock.now() < client.warnAt) {
      return "";
    }
    client.warnAt = Number.POSITIVE_INFINITY;
    return errorFrame("token_expiring", WARNING, true);
  }

  #start(due: number): void {
    this.#timer?.cancel();
    const now = this.#clock.now();
    const at = Math.min(due, now + CHECK_MS);
    this.#timer = { at, cancel: this.#clock.after(Math.max(0, Math.ceil(at - now)), () => this.#ring()) };
  }

  #ring(): void {
    this.#timer = null;
    const now = this.#clock.now();
    const isLeftBehind = !this.#canReadStorage();
    let next = Number.POSITIVE_INFINITY;
    for (const client of this.#clients) {
      if (isLeftBehind || endOf(client) <= now) {
        this.#end(client, now);
      } else if (client.pendingSince === null) {
        this.#warn(client);
      }
      if (this.#clients.has(client)) {
        next = Math.min(next, notBefore(endOf(client), now), notBefore(client.warnAt, now));
      }
    }
    if (this.#clients.size > 0) {
      this.#start(next);
    }
    this.#streams.fillFreeSlots();
  }

  #end(client: Client, now: number): void {
    if (client.pendingSince === null || this.#streams.canLinger) {
      const isTokenFirst = client.tokenEndsAt <= Math.min(now, client.expiresAt);
      this.#streams.leave(client, isTokenFirst ? "token_expired" : "max_age");
    }
  }

  #warn(client: Client): void {
    const warning = this.takeWarning(client);
    if (warning !== "") {
      this.#broadcaster.write(client, warning);
    }
  }

  #canReadStorage(): boolean {
    try {
      this.#checkStorage();
      return true;
    } catch {
      return false;
    }
  }
}

/** When a stream ends: by its age or with its token, whichever comes first. */
function endOf(client: Client): number {
  return Math.min(client.expiresAt, client.tokenEndsAt);
}

/** When to look at something again: when it is due, or soon if it is overdue. */
function notBefore(due: number, now: number): number {
  return due > now ? due : now + RETRY_MS;
}
