import type { Client } from "./client.ts";
import type { Clock } from "./clock.ts";

/** A stream ends after 80 to 100 % of the maximum age: a crowd that came at once does not leave at once. */
const JITTER = 0.2;

/**
 * Ends streams that are too old. By a timer of the object that holds them, not by the alarm: after a deploy the alarm
 * rings at the new instance, and an instance that is left behind has to end its streams by itself.
 */
export class StreamAges {
  readonly #clock: Clock;
  readonly #clients: ReadonlyMap<string, Client>;
  readonly #end: (client: Client) => void;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  constructor(clock: Clock, clients: ReadonlyMap<string, Client>, end: (client: Client) => void) {
    this.#clock = clock;
    this.#clients = clients;
    this.#end = end;
  }

  /** When a stream that opens now is too old; null: never, as a maximum of 0 says. */
  static expiry(now: number, maxAgeMs: number, random: () => number): number | null {
    return maxAgeMs === 0 ? null : now + maxAgeMs * (1 - JITTER * random());
  }

  /** A client came: the timer may have to ring earlier. */
  came(client: Client): void {
    const { expiresAt } = client;
    if (expiresAt !== null && (this.#timer === null || expiresAt < this.#timer.at)) {
      this.#timer?.cancel();
      this.#start(expiresAt);
    }
  }

  /** A client left: without clients no timer keeps the object awake. */
  left(): void {
    if (this.#clients.size === 0) {
      this.#timer?.cancel();
      this.#timer = null;
    }
  }

  #start(at: number): void {
    const cancel = this.#clock.after(Math.max(0, at - this.#clock.now()), () => this.#ring());
    this.#timer = { at, cancel };
  }

  #ring(): void {
    this.#timer = null;
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const client of this.#clients.values()) {
      if (client.expiresAt !== null && client.expiresAt <= now) {
        this.#end(client);
      } else {
        next = Math.min(next, client.expiresAt ?? next);
      }
    }
    if (next !== Number.POSITIVE_INFINITY) {
      this.#start(next);
    }
  }
}
