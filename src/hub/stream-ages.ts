import type { Broadcaster } from "./broadcaster.ts";
import type { Client } from "./client.ts";
import type { Clock } from "./clock.ts";
import type { Registry } from "./registry.ts";
import { errorFrame } from "./service-frames.ts";

/** A stream ends after 80 to 100 % of the maximum age: a crowd that came at once does not leave at once. */
const JITTER = 0.2;

/** How often an object that holds streams looks whether its storage is still its own. No timer is set for longer. */
const CHECK_MS = 60_000;

/** A stream that could not be ended or warned, since it does not take what it was sent, is looked at again after so long. */
const RETRY_MS = 1_000;

const WARNING = "The token of this stream ends soon, and the stream with it. Reconnect with a new one.";

/**
 * Ends streams that are too old or whose token has ended, and warns of the latter. By a timer of the object that holds
 * them, not by the alarm: after a deploy the alarm rings at the new instance, and an instance that is left behind has to
 * end its streams by itself. It learns so from its storage, which it can no longer read; then all of its streams end,
 * and resume at the new one.
 *
 * While too many linger, a stream that does not read stays registered: to end it all the same would be to hold more and
 * more of them. Nothing is written to it meanwhile, and from the end of its token on no sweep serves it.
 */
export class StreamAges {
  readonly #clock: Clock;
  readonly #registry: Registry;
  readonly #broadcaster: Broadcaster;
  readonly #checkStorage: () => void;
  #timer: { readonly at: number; readonly cancel: () => void } | null = null;

  /** @param checkStorage throws when the storage cannot be read. */
  constructor(clock: Clock, registry: Registry, broadcaster: Broadcaster, checkStorage: () => void) {
    this.#clock = clock;
    this.#registry = registry;
    this.#broadcaster = broadcaster;
    this.#checkStorage = checkStorage;
  }

  /** When a stream that opens now is too old; Infinity: never, as a maximum of 0 says. */
  static expiry(now: number, maxAgeMs: number, random: () => number): number {
    return maxAgeMs === 0 ? Number.POSITIVE_INFINITY : now + maxAgeMs * (1 - JITTER * random());
  }

  /** A client came: the timer may have to ring earlier. Answers what belongs to its first bytes: a warning, or nothing. */
  came(client: Client): string {
    const warning = this.#warning(client, this.#clock.now());
    const at = Math.min(endOf(client), client.warnAt);
    if (this.#timer === null || at < this.#timer.at) {
      this.#start(at);
    }
    return warning;
  }

  /** A client left: without clients no timer keeps the object awake. */
  left(): void {
    if (this.#registry.clients.size === 0) {
      this.#timer?.cancel();
      this.#timer = null;
    }
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
    const { clients } = this.#registry;
    let next = Number.POSITIVE_INFINITY;
    for (const client of clients.values()) {
      if (isLeftBehind || endOf(client) <= now) {
        this.#end(client, now);
      } else if (client.pendingSince === null) {
        this.#warn(client, now);
      }
      if (clients.has(client.id)) {
        next = Math.min(next, notBefore(endOf(client), now), notBefore(client.warnAt, now));
      }
    }
    if (clients.size > 0) {
      this.#start(next);
    }
  }

  #end(client: Client, now: number): void {
    if (client.pendingSince === null || this.#registry.canLinger) {
      const isTokenFirst = client.tokenEndsAt <= Math.min(now, client.expiresAt);
      this.#registry.end(client, isTokenFirst ? "token_expired" : "max_age");
    }
  }

  #warn(client: Client, now: number): void {
    const warning = this.#warning(client, now);
    if (warning !== "") {
      this.#broadcaster.write(client, warning);
    }
  }

  /** The frame that says that the token ends soon, once it is time for it, and only once; else nothing. */
  #warning(client: Client, now: number): string {
    if (now < client.warnAt) {
      return "";
    }
    client.warnAt = Number.POSITIVE_INFINITY;
    return errorFrame("token_expiring", WARNING, true);
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

/** When a stream ends: whichever comes first. */
function endOf(client: Client): number {
  return Math.min(client.expiresAt, client.tokenEndsAt);
}

/** When to look again at something that is due then; soon if it should have been done now. */
function notBefore(due: number, now: number): number {
  return due > now ? due : now + RETRY_MS;
}
