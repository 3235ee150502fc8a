import type { Client } from "./client.ts";
import type { Clock } from "./clock.ts";

/** A stream ends after 80 to 100 % of the maximum age: a crowd that came at once does not leave at once. */
const JITTER = 0.2;

/** So long before its token ends a client is told, and can bring another one. */
const WARNING_MS = 30_000;

/** How often an object that holds streams looks whether its storage is still its own. */
const CHECK_MS = 60_000;

/** What could not be done, since a write is pending or too many linger, is tried again after so long. */
const RETRY_MS = 1_000;

/** What is done when it is time. Neither has to succeed: it is tried again. */
export interface StreamEndsPort {
  /** Throws when the storage cannot be read. */
  checkStorage(): void;
  warn(client: Client): void;
  end(client: Client, reason: "max_age" | "token_expired"): void;
}

/**
 * Ends streams that are too old, or whose token has ended. By a timer of the object that holds them, not by the alarm:
 * after a deploy the alarm rings at the new instance, and an instance that is left behind has to end its streams by
 * itself. It learns so from its storage, which it can no longer read; then all of its streams end, and resume at the new
 * one.
 */
export class StreamEnds {
  readonly #clock: Clock;
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #port: StreamEndsPort;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  constructor(clock: Clock, clients: ReadonlyMap<string, Client>, port: StreamEndsPort) {
    this.#clock = clock;
    this.#clients = clients;
    this.#port = port;
  }

  /** When a stream that opens now is too old; null: never, as a maximum of 0 says. */
  static expiry(now: number, maxAgeMs: number, random: () => number): number | null {
    return maxAgeMs === 0 ? null : now + maxAgeMs * (1 - JITTER * random());
  }

  /** Whether it is time to tell a client that its token ends. */
  static isEnding({ tokenEndsAt, isWarned }: Client, now: number): boolean {
    return tokenEndsAt !== null && !isWarned && now >= tokenEndsAt - WARNING_MS;
  }

  /** A client came: the timer may have to ring earlier. */
  came(client: Client): void {
    const at = nextTime(client);
    if (this.#timer === null || at < this.#timer.at) {
      this.#start(at);
    }
  }

  /** A client left: without clients no timer keeps the object awake. */
  left(): void {
    if (this.#clients.size === 0) {
      this.#timer?.cancel();
      this.#timer = null;
    }
  }

  #start(time: number): void {
    this.#timer?.cancel();
    const now = this.#clock.now();
    const at = Math.min(time, now + CHECK_MS);
    this.#timer = { at, cancel: this.#clock.after(Math.max(0, Math.ceil(at - now)), () => this.#ring()) };
  }

  #ring(): void {
    this.#timer = null;
    const now = this.#clock.now();
    const isLeftBehind = !this.#canReadStorage();
    let next = Number.POSITIVE_INFINITY;
    for (const client of this.#clients.values()) {
      if (now >= (client.tokenEndsAt ?? Number.POSITIVE_INFINITY)) {
        this.#port.end(client, "token_expired");
      } else if (isLeftBehind || now >= (client.expiresAt ?? Number.POSITIVE_INFINITY)) {
        this.#port.end(client, "max_age");
      } else if (StreamEnds.isEnding(client, now)) {
        this.#port.warn(client);
      }
      if (this.#clients.has(client.id)) {
        const at = nextTime(client);
        next = Math.min(next, at > now ? at : now + RETRY_MS);
      }
    }
    if (this.#clients.size > 0) {
      this.#start(next);
    }
  }

  #canReadStorage(): boolean {
    try {
      this.#port.checkStorage();
      return true;
    } catch {
      return false;
    }
  }
}

/** When there is something to do for a client; Infinity: never. */
function nextTime({ expiresAt, tokenEndsAt, isWarned }: Client): number {
  const tokenTime = tokenEndsAt === null || isWarned ? tokenEndsAt : tokenEndsAt - WARNING_MS;
  return Math.min(expiresAt ?? Number.POSITIVE_INFINITY, tokenTime ?? Number.POSITIVE_INFINITY);
}
