import { CHANNEL_FULL, type Seats } from "../hub/audience/seats.ts";
import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import type { Lease, LeaseRequest, Place, Recalled } from "./seat-lease.ts";

/** How often a relay renews its lease. */
const RENEW_MS = 10_000;

/** When to try again after the hub did not answer. */
const RETRY_MS = 2_000;

/** How long an answer of the hub may take. A later answer is ignored. */
const ANSWER_MS = 5_000;

/**
 * After a recall, seats are scarce for this long, and the relay gives each seat back as soon as its client leaves. It is
 * longer than the hub's pause between two recalls.
 */
const SCARCE_MS = 2_000;

/** How many seats a relay asks for beyond what it needs at once: a part of its clients, between two bounds. */
const BLOCK_PART = 1 / 4;
const BLOCK_MIN = 8;
const BLOCK_MAX = 64;

/** What the seats of a relay need from the relay. */
export interface LeasedSeatsHost {
  readonly clock: Clock;
  /** The name of the relay within its channel. */
  readonly relay: string;
  readonly life: string;
  /** The most clients that its object can hold. */
  readonly capacity: number;
  /** How many clients are registered. */
  used(): number;
  /** Asks the hub for a lease. */
  lease(request: LeaseRequest): Promise<Lease>;
  /**
   * Called after an answer of the hub has been counted. There may be fewer seats than clients now, and the answer says
   * where the feed comes from.
   */
  leased(lease: Lease): void;
  /** Called when the lease has ended because the hub did not renew it. There are no seats any more. */
  lapsed(): void;
}

/** A connect that waits for a seat. */
interface Waiting {
  readonly look: () => void;
  readonly refuse: (error: HubError) => void;
}

/**
 * The seats that a relay leases from its hub. It makes one call at a time. All connects that wait are in one call.
 *
 * The relay counts granted seats when the answer has arrived, and no longer uses seats when it sends the call that gives
 * them back. It takes only the answer to its latest call, and no answer that is older than a recall.
 */
export class LeasedSeats implements Seats {
  readonly #host: LeasedSeatsHost;
  #waiting: Waiting[] = [];
  #held = 0;
  #validUntil = 0;
  /** The newest version of an answer or a recall. */
  #version = 0;
  #hub: string | null = null;
  #parent: string | null = null;
  /** The number of the latest call. */
  #number = 0;
  #sentAt = 0;
  #isCalling = false;
  /** How many leases were given up. The answer to a call from before is ignored. */
  #givenUp = 0;
  /** Whether a call is due although no connect waits. */
  #isDue = false;
  #renewAt = Number.POSITIVE_INFINITY;
  #scarceUntil = 0;
  /** The most clients since the latest call. */
  #peak = 0;

  constructor(host: LeasedSeatsHost) {
    this.#host = host;
  }

  /** How many clients may be registered now: none without a valid lease. */
  get limit(): number {
    return this.#host.clock.now() < this.#validUntil ? Math.min(this.#held, this.#host.capacity) : 0;
  }

  /** How many seats the relay holds, used or not. */
  get held(): number {
    return this.#held;
  }

  request(): Promise<void> {
    return new Promise((look, refuse) => {
      this.#waiting.push({ look, refuse });
      this.#callIfNeeded();
    });
  }

  left(): void {
    this.#peak = Math.max(this.#peak, this.#host.used() + 1);
    if (this.#isScarce()) {
      this.#isDue = true;
      this.#callIfNeeded();
    }
  }

  /** Renews the lease if that is due, or gives it up if it has ended. Call it when the alarm rings. */
  tick(): void {
    const now = this.#host.clock.now();
    if (now < this.#sentAt) {
      // The clock was set back. The lease must not last longer for it.
      this.#validUntil = Math.min(this.#validUntil, now + (this.#validUntil - this.#sentAt));
      this.#sentAt = now;
      this.#renewAt = now;
    }
    this.#lapseIfOver(now);
    if (now >= this.#renewAt) {
      this.#isDue = true;
      this.#callIfNeeded();
    }
  }

  /** When `tick` has something to do, in ms since the epoch; Infinity without clients and seats. */
  nextDue(): number {
    if (this.#held > 0) {
      return Math.min(this.#renewAt, this.#validUntil);
    }
    return this.#host.used() > 0 ? this.#renewAt : Number.POSITIVE_INFINITY;
  }

  /** Gives back all seats that are not used, because the relay goes to sleep. */
  release(): void {
    if (this.#held > 0) {
      this.#peak = 0;
      this.#isDue = true;
      this.#callIfNeeded();
    }
  }

  /**
   * Uses no seat of the lease any more, because the hub has given the place of this life to another one. Call it after
   * the clients were ended.
   */
  giveUp(): void {
    this.#held = 0;
    this.#givenUp++;
    this.#isDue = true;
    this.#callIfNeeded();
  }

  /** Gives back the seats that are not used. */
  recall(version: number): Recalled {
    const used = this.#host.used();
    if (version > this.#version) {
      this.#version = version;
      this.#held = Math.min(this.#held, used);
      this.#scarceUntil = this.#host.clock.now() + SCARCE_MS;
    }
    return { life: this.#host.life, held: this.#held, used };
  }

  #callIfNeeded(): void {
    if (!this.#isCalling) {
      void this.#callWhileNeeded();
    }
  }

  async #callWhileNeeded(): Promise<void> {
    this.#isCalling = true;
    try {
      while (this.#isDue || this.#waiting.length > 0) {
        this.#isDue = false;
        await this.#call();
        // Connects that were given a seat take it now. The next call counts them.
        await this.#host.clock.turn();
        // Clients may have left before the answer said that seats are scarce.
        this.#isDue ||= this.#isScarce() && this.#held > this.#host.used();
      }
    } finally {
      this.#isCalling = false;
    }
  }

  async #call(): Promise<void> {
    const waiting = this.#waiting.length;
    const givenUp = this.#givenUp;
    const request = this.#stateWish(waiting);
    const lease = await this.#ask(request);
    if (givenUp !== this.#givenUp) {
      return;
    }
    const { clock } = this.#host;
    if (lease === null) {
      this.#renewAt = clock.now() + RETRY_MS;
      this.#refuseWaiting(waiting);
      return;
    }
    if (this.#take(lease)) {
      this.#host.leased(lease);
      this.#answerWaiting(waiting, lease.next);
    } else {
      // A recall has overtaken the answer. The waiting connects are in the next call.
      this.#isDue = true;
    }
  }

  /** What the relay asks for. It stops using at once what it gives back. */
  #stateWish(waiting: number): LeaseRequest {
    const { relay, life, capacity, clock } = this.#host;
    const now = clock.now();
    this.#lapseIfOver(now);
    const used = this.#host.used();
    const wanted = Math.min(capacity, Math.max(used, this.#wanted(used, waiting)));
    this.#held = Math.min(this.#held, wanted);
    this.#peak = used;
    this.#sentAt = now;
    this.#renewAt = now + RENEW_MS;
    return {
      relay,
      life,
      number: ++this.#number,
      hub: this.#hub,
      used,
      waiting,
      wanted,
      isFull: used + waiting >= capacity,
      parent: this.#parent,
    };
  }

  #lapseIfOver(now: number): void {
    if (this.#held > 0 && now >= this.#validUntil) {
      this.#held = 0;
      this.#host.lapsed();
    }
  }

  #wanted(used: number, waiting: number): number {
    if (waiting > 0) {
      const block = Math.min(BLOCK_MAX, Math.max(BLOCK_MIN, Math.ceil(used * BLOCK_PART)));
      return used + waiting + block;
    }
    return this.#isScarce() ? used : Math.min(this.#held, this.#peak);
  }

  /** Resolves to null if the hub does not answer in time. */
  async #ask(request: LeaseRequest): Promise<Lease | null> {
    const { promise: late, resolve } = Promise.withResolvers<null>();
    const cancel = this.#host.clock.after(ANSWER_MS, () => resolve(null));
    try {
      return await Promise.race([this.#host.lease(request), late]);
    } catch {
      // The hub cannot be reached. The next renewal tries again.
      return null;
    } finally {
      cancel();
    }
  }

  /** Counts the seats of an answer. Returns false if the answer is too old. */
  #take(lease: Lease): boolean {
    const isOld = lease.version < this.#version;
    if (!isOld) {
      this.#held = lease.held;
      this.#validUntil = this.#sentAt + lease.validMs;
      this.#parent = lease.parent;
    }
    if (!isOld || lease.hub !== this.#hub) {
      // The versions of a hub that was started again can be lower, if its clock was set back.
      this.#version = lease.version;
      this.#hub = lease.hub;
    }
    if (lease.isScarce) {
      this.#scarceUntil = this.#host.clock.now() + SCARCE_MS;
    }
    return !isOld;
  }

  /** Answers the connects of a call: lets as many look again as there are seats, and sends the others elsewhere. */
  #answerWaiting(count: number, next: readonly Place[]): void {
    const free = Math.max(0, this.limit - this.#host.used());
    const answered = this.#waiting.splice(0, Math.max(count, free));
    const elsewhere = next.flatMap(({ relay, clients }) => Array.from({ length: clients }, () => relay));
    for (const [index, { look, refuse }] of answered.entries()) {
      const relay = index < free ? undefined : elsewhere[index - free];
      if (relay === undefined) {
        look();
      } else {
        refuse(new HubError("relay_full", CHANNEL_FULL, { next: relay }));
      }
    }
  }

  /** Nobody knows whether there is a seat. That is no reason to say that the channel is full. */
  #refuseWaiting(count: number): void {
    for (const { refuse } of this.#waiting.splice(0, count)) {
      refuse(new HubError("hub_unreachable", "The hub of this channel cannot be reached at the moment."));
    }
  }

  #isScarce(): boolean {
    return this.#host.clock.now() < this.#scarceUntil;
  }
}
