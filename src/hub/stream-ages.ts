import type { Client } from "./client.ts";
import type { Clock } from "./clock.ts";

/** A stream ends after 80 to 100 % of the maximum age: a crowd that came at once does not leave at once. */
const JITTER = 0.2;

/** How often an object that holds streams looks whether its storage is still its own. */
const CHECK_MS = 60_000;

/** A stream that could not be ended, since too many linger, is looked at again after so long. */
const RETRY_MS = 1_000;

/**
 * Ends streams that are too old. By a timer of the object that holds them, not by the alarm: after a deploy the alarm
 * rings at the new instance, and an instance that is left behind has to end its streams by itself. It learns so from
 * its storage, which it can no longer read; then all of its streams end, and resume at the new one.
 */
export class StreamAges {
  readonly #clock: Clock;
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #checkStorage: () => void;
  readonly #end: (client: Client) => unknown;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  /** @param checkStorage throws when the storage cannot be read. */
  constructor(
    clock: Clock,
    clients: ReadonlyMap<string, Client>,
    checkStorage: () => void,
    end: (client: Client) => unknown,
  ) {
    this.#clock = clock;
    this.#clients = clients;
    this.#checkStorage = checkStorage;
    this.#end = end;
  }

  /** When a stream that opens now is too old; null: never, as a maximum of 0 says. */
  static expiry(now: number, maxAgeMs: number, random: () => number): number | null {
    return maxAgeMs === 0 ? null : now + maxAgeMs * (1 - JITTER * random());
  }

  /** A client came: the timer may have to ring earlier. */
  came(client: Client): void {
    const at = client.expiresAt ?? Number.POSITIVE_INFINITY;
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

  #start(expiry: number): void {
    this.#timer?.cancel();
    const now = this.#clock.now();
    const at = Math.min(expiry, now + CHECK_MS);
    this.#timer = { at, cancel: this.#clock.after(Math.max(0, Math.ceil(at - now)), () => this.#ring()) };
  }

  #ring(): void {
    this.#timer = null;
    const now = this.#clock.now();
    const isLeftBehind = !this.#canReadStorage();
    let next = Number.POSITIVE_INFINITY;
    for (const client of this.#clients.values()) {
      const at = client.expiresAt ?? Number.POSITIVE_INFINITY;
      if (isLeftBehind || at <= now) {
        this.#end(client);
      }
      if (this.#clients.has(client.id)) {
        next = Math.min(next, at > now ? at : now + RETRY_MS);
      }
    }
    if (this.#clients.size > 0) {
      this.#start(next);
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
