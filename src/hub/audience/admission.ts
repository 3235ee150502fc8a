import type { Clock } from "../clock.ts";
import type { Closing } from "../closing.ts";
import { HubError } from "../errors.ts";

/** How long a connect waits for a dead client's slot. */
const PROBE_WAIT_MS = 250;

/** The shortest time between two probes, however many connects are refused. */
const PROBE_PAUSE_MS = 1_000;

/** Which limit leaves no slot for a client. */
export type Full = "limit" | "address_limit";

const DETAILS: Readonly<Record<Full, string>> = {
  limit: "All connections of this channel are in use.",
  address_limit: "This address holds as many streams of this channel as it may.",
};

/** The slots of a hub, as the admission sees them. */
export interface Slots {
  /** Which limit leaves no slot for a client of this address; null if there is one. */
  fullBecause(address: string | null): Full | null;
  /**
   * Sends a heartbeat to the clients that were quiet for a while, so that dead ones show.
   *
   * @param address probe only the clients of this address; null probes all.
   * @returns false if there was no client to probe
   */
  probe(address: string | null): boolean;
}

/** A connect that waits for a slot. */
interface Waiting {
  readonly address: string | null;
  readonly take: () => void;
  readonly done: (hasTaken: boolean) => void;
}

/**
 * Decides which connects get a slot. A dead client must not hold one: before a connect is refused, the quiet clients get
 * a heartbeat, and the waiting connects take the slots of those that turn out to be gone.
 */
export class Admission {
  readonly #slots: Slots;
  readonly #closing: Closing;
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  /** When the clients of an address were last probed, or all clients (null). Entries are dropped after the pause. */
  readonly #probedAt = new Map<string | null, number>();

  constructor(slots: Slots, closing: Closing, clock: Clock) {
    this.#slots = slots;
    this.#closing = closing;
    this.#clock = clock;
  }

  /**
   * Takes a slot as soon as there is one. Nothing is awaited between looking and taking, which keeps the limits exact.
   *
   * @throws HubError `limit`, `address_limit`, `draining` or `shutting_down`
   */
  async enter(address: string | null, take: () => void): Promise<void> {
    this.#closing.requireOpenToStreams();
    const full = this.#slots.fullBecause(address);
    if (full === null) {
      take();
      return;
    }
    // A full address probes only its own clients: its connects must not cost the clients of others anything.
    const probedAt = this.#probe(full === "limit" ? null : address);
    const hasTaken = await this.#waitForSlot(address, take, probedAt + PROBE_WAIT_MS - this.#clock.now());
    if (!hasTaken) {
      this.#closing.requireOpenToStreams();
      throw new HubError(full, DETAILS[full]);
    }
  }

  /** Gives each free slot to the longest-waiting connect that fits. Call it after clients have left. */
  fillFreeSlots(): void {
    if (this.#closing.because !== null) {
      return;
    }
    for (const waiting of this.#waiting) {
      if (this.#slots.fullBecause(waiting.address) === null) {
        waiting.take();
        waiting.done(true);
      }
    }
  }

  /** Refuses all connects that wait. Call it when the hub closes. */
  refuseWaiting(): void {
    for (const waiting of this.#waiting) {
      waiting.done(false);
    }
  }

  /** Probes all quiet clients, unless that was done within the pause, and gives the dead ones time to show. */
  async probe(): Promise<void> {
    const waitMs = this.#probe(null) + PROBE_WAIT_MS - this.#clock.now();
    if (waitMs > 0) {
      await new Promise<void>((resolve) => void this.#clock.after(waitMs, resolve));
    }
  }

  /** Probes the clients of an address, or all (null), unless that was done within the pause. Returns when it was done. */
  #probe(address: string | null): number {
    const now = this.#clock.now();
    for (const [probed, at] of this.#probedAt) {
      // A clock can be set back. Then the probe is due again, or connects would wait until that time came round.
      if (now < at || now - at >= PROBE_PAUSE_MS) {
        this.#probedAt.delete(probed);
      }
    }
    if (!this.#probedAt.has(null) && !this.#probedAt.has(address) && this.#slots.probe(address)) {
      this.#probedAt.set(address, now);
    }
    const never = Number.NEGATIVE_INFINITY;
    return Math.max(this.#probedAt.get(null) ?? never, this.#probedAt.get(address) ?? never);
  }

  /** Resolves to whether a slot was taken in time. */
  async #waitForSlot(address: string | null, take: () => void, forMs: number): Promise<boolean> {
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
