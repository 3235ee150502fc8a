import type { Clock } from "./clock.ts";
import { HubError } from "./errors.ts";

/** Connects that find no place wait so long at most for a dead client to be noticed. */
const PROBE_WAIT_MS = 250;

/** Dead clients are looked for once in so long at most, however many connects are refused. */
const PROBE_PAUSE_MS = 1_000;

/** What is told to whoever is not let in. */
const DETAILS = {
  limit: "All connections of this channel are in use.",
  address_limit: "This address holds as many streams of this channel as it may.",
  draining: "This channel is being drained and takes no streams just now.",
  shutting_down: "The service is shutting down.",
} as const;

/** The refusal of a channel, or a service, that lets no stream in. */
export function closedRefusal(reason: "draining" | "shutting_down"): HubError {
  return new HubError(reason, DETAILS[reason]);
}

/** What the admission needs to know and to do. */
export interface Door {
  /** Why nobody is let in, whatever place there is; null: open. */
  closedBecause(): "draining" | "shutting_down" | null;
  /** Why there is no place for a client of this address; null: there is one. */
  fullBecause(address: string | null): "limit" | "address_limit" | null;
  /**
   * Sends bytes to whoever was not written to for 1 s: a dead one answers by leaving. False: nobody to ask.
   *
   * @param address only clients of this one are asked; null: all.
   */
  probe(address: string | null): boolean;
}

/** A connect that waits for a place. */
interface Waiting {
  readonly address: string | null;
  readonly take: () => void;
  readonly done: (hasTaken: boolean) => void;
}

/**
 * Decides who gets a place. A dead client must not hold one: before anybody is refused, the quiet clients get a
 * heartbeat, and whoever waits then takes the places of those that turn out to be gone.
 */
export class Admission {
  readonly #door: Door;
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  /** When the clients of an address were asked last, or all of them (null); for no longer than it matters. */
  readonly #probedAt = new Map<string | null, number>();

  constructor(door: Door, clock: Clock) {
    this.#door = door;
    this.#clock = clock;
  }

  /**
   * Takes a place, as soon as there is one. Nothing waits between looking and taking: so the limits are exact.
   *
   * @throws HubError `limit`, `address_limit`, `draining` or `shutting_down`
   */
  async enter(address: string | null, take: () => void): Promise<void> {
    this.refuseIfClosed();
    const full = this.#door.fullBecause(address);
    if (full === null) {
      take();
      return;
    }
    // An address that has no place left costs the clients of others nothing.
    const probedAt = this.#probe(full === "limit" ? null : address);
    const hasTaken = await this.#waitForPlace(address, take, probedAt + PROBE_WAIT_MS - this.#clock.now());
    this.refuseIfClosed();
    if (!hasTaken) {
      throw new HubError(full, DETAILS[full]);
    }
  }

  /** @throws HubError `draining` or `shutting_down` */
  refuseIfClosed(): void {
    const reason = this.#door.closedBecause();
    if (reason !== null) {
      throw closedRefusal(reason);
    }
  }

  /** A place is free: of those whom it fits, who has waited longest takes it at once, before anybody who comes later. */
  placeFreed(): void {
    if (this.#door.closedBecause() !== null) {
      return;
    }
    for (const waiting of this.#waiting) {
      if (this.#door.fullBecause(waiting.address) === null) {
        waiting.take();
        waiting.done(true);
        return;
      }
    }
  }

  /** The door was closed: who waits need not. */
  closed(): void {
    for (const waiting of this.#waiting) {
      waiting.done(false);
    }
  }

  /** Has the clients of an address asked, or all (null), unless that was done just now. Answers when it was done. */
  #probe(address: string | null): number {
    const now = this.#clock.now();
    for (const [asked, at] of this.#probedAt) {
      // A clock can be set back: then the last look is due again, and nobody waits for that time to come round.
      if (now < at || now - at >= PROBE_PAUSE_MS) {
        this.#probedAt.delete(asked);
      }
    }
    if (!this.#probedAt.has(null) && !this.#probedAt.has(address) && this.#door.probe(address)) {
      this.#probedAt.set(address, now);
    }
    const never = Number.NEGATIVE_INFINITY;
    return Math.max(this.#probedAt.get(null) ?? never, this.#probedAt.get(address) ?? never);
  }

  /** Answers whether a place was taken in time. */
  async #waitForPlace(address: string | null, take: () => void, forMs: number): Promise<boolean> {
    if (forMs <= 0) {
      return false;
    }
    return new Promise((resolve) => {
      const waiting: Waiting = {
        address,
        take,
        done: (hasTaken) => {
          cancel();
          this.#waiting.delete(waiting);
          resolve(hasTaken);
        },
      };
      const cancel = this.#clock.after(forMs, () => waiting.done(false));
      this.#waiting.add(waiting);
    });
  }
}
