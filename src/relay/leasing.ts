import type { LeaveReason } from "../hub/audience/client.ts";
import type { Clock } from "../hub/clock.ts";
import { Placement, type PlacementSettings } from "./placement.ts";
import type { Lease, LeaseRequest, Place, Recalled } from "./seat-lease.ts";
import { SeatLedger, USABLE_MS, type KnownRelay } from "./seat-ledger.ts";
import type { SeatStore } from "./seat-store.ts";
import { Tree } from "./tree.ts";

/** How long the hub waits for seats that other relays give back. */
const RECALL_MS = 250;

/** The shortest time between two recalls, however many connects find no seat. */
const RECALL_PAUSE_MS = 1_000;

/** The settings of the leases of a channel. */
export interface LeasingSettings extends PlacementSettings {
  readonly maxConnections: number;
}

/** What the leasing needs from the hub. */
export interface LeasingHost {
  readonly clock: Clock;
  readonly store: SeatStore;
  /** The life of a relay that the hub has a stream to; null if it has none. */
  lifeOf(relay: string): string | null;
  /** Asks a relay for the seats that it does not use. */
  recall(relay: string, version: number): Promise<Recalled>;
}

/** A request that waits for seats. */
interface Waiting {
  readonly request: LeaseRequest;
  readonly serve: () => void;
}

/**
 * Answers the relays of a channel: how many seats each holds, where clients go that it has no room for, and where its
 * feed comes from. If no seat is free, it recalls the unused seats of the other relays before it answers.
 */
export class Leasing {
  readonly #host: LeasingHost;
  readonly #hub = crypto.randomUUID();
  readonly #ledger: SeatLedger;
  readonly #placement: Placement;
  readonly #tree = new Tree();
  readonly #waiting = new Set<Waiting>();
  #recalledAt = Number.NEGATIVE_INFINITY;

  constructor(settings: LeasingSettings, host: LeasingHost) {
    this.#host = host;
    this.#ledger = new SeatLedger(settings.maxConnections, this.#hub, host.store);
    this.#placement = new Placement(settings);
    this.#ledger.restore(host.clock.now());
    for (const { relay, used } of this.#ledger.relays()) {
      this.#placement.note(relay, used, null);
    }
  }

  /** The relays that hold seats or have clients. */
  relays(): KnownRelay[] {
    this.#expire();
    return this.#ledger.relays();
  }

  /** Whether a relay may have clients. False for one more relay than the channel may have. */
  accepts(relay: string): boolean {
    this.#expire();
    return this.#placement.accepts(relay);
  }

  /** Whether a life of a relay was replaced by another one. It gets no feed. */
  isReplaced(relay: string, life: string): boolean {
    return this.#ledger.isReplaced(relay, life);
  }

  /** Grants, renews or takes back seats. Resolves when that is durable. */
  async lease(request: LeaseRequest): Promise<Lease> {
    this.#expire();
    void this.#meet(request);
    const waitMs = this.#waitFor(request);
    return waitMs > 0 ? this.#serveLater(request, waitMs) : this.#serve(request);
  }

  /** Notes that the hub has a stream to a life of a relay. */
  attached(relay: string, life: string): void {
    this.#ledger.attached(relay, life, this.#now());
    this.#tree.fed(relay);
  }

  /** Notes that the stream to a life of a relay has ended. */
  left(relay: string, life: string, reason: LeaveReason): void {
    if (reason === "client_left" || reason === "replaced") {
      this.#ledger.ended(relay, life, reason === "replaced" ? reason : "gone", this.#now());
      this.#seatsAreFree();
    }
    if (this.#ledger.livesOf(relay).length === 0) {
      this.#tree.forget(relay);
    }
  }

  /**
   * Notes to which life of a relay its name leads. Lives to which the hub has lost its stream are dead. The life itself
   * was not replaced, even if a life that a deploy left behind has attached after it.
   */
  current(relay: string, life: string): void {
    this.#ledger.reinstate(relay, life);
    for (const other of this.#ledger.livesOf(relay)) {
      if (other !== life && this.#ledger.isGone(relay, other)) {
        this.#ledger.replace(relay, other, this.#now());
      }
    }
    this.#seatsAreFree();
  }

  /**
   * Asks a relay for its life if a request comes from a life that the hub does not know and has no stream to. The request
   * may be late and its sender dead, so it does not tell which life is newer.
   */
  async #meet({ relay, life }: LeaseRequest): Promise<void> {
    const others = this.#ledger.livesOf(relay);
    if (others.length === 0 || others.includes(life) || this.#host.lifeOf(relay) === life) {
      return;
    }
    try {
      // Version 0 is older than any answer, so it recalls nothing.
      const { life: current } = await this.#host.recall(relay, 0);
      for (const other of [life, ...others]) {
        // The stream of an attached life ends when its successor attaches.
        if (other !== current && other !== this.#host.lifeOf(relay)) {
          this.#ledger.replace(relay, other, this.#now());
        }
      }
    } catch {
      // A life that is dead keeps its seats until its lease ends.
    }
  }

  /** For how long an answer waits for seats that come back. */
  #waitFor(request: LeaseRequest): number {
    if (this.#isShort(request)) {
      return this.#recall(request.relay);
    }
    return this.#ledger.isRecalled(request.relay, request.life) ? this.#recallLeftMs() : 0;
  }

  #mustWait(request: LeaseRequest): boolean {
    return this.#isShort(request) || this.#ledger.isRecalled(request.relay, request.life);
  }

  /** Whether the clients of a relay, and the connects that wait at it, lack a seat or a place. */
  #isShort(request: LeaseRequest): boolean {
    return this.#ledger.missingFor(request) > 0 || this.#lacksPlace(request);
  }

  /** Whether clients that have to go to another relay find no seat or no place there, as far as the hub knows. */
  #lacksPlace(request: LeaseRequest): boolean {
    const goesElsewhere = overflowOf(request) > 0 || !this.#placement.accepts(request.relay);
    return (
      goesElsewhere && (this.#ledger.free === 0 || !this.#placement.hasPlace(request.relay, this.#now()))
    );
  }

  /** Recalls the unused seats of all other relays. Returns how long seats can still come back. */
  #recall(except: string): number {
    if (this.#isRecallDue()) {
      const recalls = this.#ledger.recall(except);
      this.#recalledAt = recalls.length > 0 ? this.#now() : Number.NEGATIVE_INFINITY;
      recalls.forEach(({ relay, version }) => void this.#recallFrom(relay, version));
    }
    return this.#recallLeftMs();
  }

  /** Whether the last recall is long enough ago. */
  #isRecallDue(): boolean {
    const now = this.#now();
    return now < this.#recalledAt || now - this.#recalledAt >= RECALL_PAUSE_MS;
  }

  /** How long seats of the latest recall can still come back. */
  #recallLeftMs(): number {
    return this.#recalledAt + RECALL_MS - this.#now();
  }

  async #recallFrom(relay: string, version: number): Promise<void> {
    try {
      const reply = await this.#host.recall(relay, version);
      if (this.#ledger.recalled(relay, version, reply)) {
        // Clients may have left since the relay's last request.
        this.#placement.recount(relay, reply.used);
      }
    } catch {
      // A relay that cannot be reached keeps its seats until its lease ends.
      return;
    }
    this.#seatsAreFree();
  }

  #serveLater(request: LeaseRequest, waitMs: number): Promise<Lease> {
    return new Promise((resolve, reject) => {
      const serve = (): void => {
        cancel();
        this.#waiting.delete(waiting);
        this.#serve(request).then(resolve, reject);
      };
      const cancel = this.#host.clock.after(waitMs, serve);
      const waiting: Waiting = { request, serve };
      this.#waiting.add(waiting);
    });
  }

  /** Serves the requests that need not wait any more, the longest-waiting first. */
  #seatsAreFree(): void {
    for (const waiting of this.#waiting) {
      if (!this.#mustWait(waiting.request)) {
        waiting.serve();
      }
    }
  }

  /** Counts the seats at once, and answers when that is durable. */
  async #serve(request: LeaseRequest): Promise<Lease> {
    const { relay, life, parent } = request;
    const isAccepted = this.#placement.accepts(relay);
    const freeBefore = this.#ledger.free;
    // Nobody gets a block until the next recall can fetch it back.
    const isScarce = !this.#isRecallDue();
    const grant = isScarce ? "needed" : "block";
    const granted = this.#ledger.lease(request, isAccepted ? grant : "nothing", this.#now());
    if (isAccepted) {
      this.#note(request, granted.held);
    }
    const next = this.#next(request, isAccepted);
    if (this.#ledger.free > freeBefore) {
      this.#seatsAreFree();
    }
    await this.#ledger.save();
    const itsParent = this.#tree.parentOf(relay, parent, (other) => this.#host.lifeOf(other) !== null);
    return {
      hub: this.#hub,
      ...granted,
      validMs: USABLE_MS,
      isScarce,
      next,
      parent: itsParent,
      isAttached: itsParent !== null || this.#host.lifeOf(relay) === life,
    };
  }

  /** Notes how many clients a relay has, together with the connects that now get a seat. */
  #note({ relay, life, used, waiting, wanted, isFull }: LeaseRequest, held: number): void {
    if (this.#ledger.isReplaced(relay, life)) {
      return;
    }
    if (used + waiting + wanted === 0) {
      this.#forget(relay);
      return;
    }
    this.#placement.note(relay, Math.max(used, Math.min(used + waiting, held)), isFull ? wanted : null);
  }

  #next(request: LeaseRequest, isAccepted: boolean): Place[] {
    const elsewhere = isAccepted ? overflowOf(request) : request.used + request.waiting;
    return elsewhere === 0 || this.#ledger.free === 0
      ? []
      : this.#placement.next(request.relay, elsewhere, this.#now());
  }

  #expire(): void {
    for (const relay of this.#ledger.expire(this.#now())) {
      if (this.#ledger.livesOf(relay).length === 0) {
        this.#forget(relay);
      }
    }
  }

  #forget(relay: string): void {
    this.#placement.forget(relay);
    this.#tree.forget(relay);
  }

  #now(): number {
    return this.#host.clock.now();
  }
}

/** How many of the connects that wait at a relay have no place in its object. */
function overflowOf({ used, waiting, wanted, isFull }: LeaseRequest): number {
  return isFull ? Math.max(0, used + waiting - wanted) : 0;
}
