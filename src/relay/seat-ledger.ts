import type { LeaseRequest, Recalled } from "./seat-lease.ts";
import type { SeatStore } from "./seat-store.ts";

/** How long the hub keeps a lease that is not renewed. */
const LEASE_MS = 60_000;

/**
 * How long a relay may use a lease. It is shorter than the hub's time, because the alarm on which a relay ends its
 * clients can ring late.
 */
export const USABLE_MS = 55_000;

/**
 * How long a life of a relay keeps its seats after its stream was ended because another life has attached. It needs the
 * time to end its own streams. Usually it gives the seats back before.
 */
const REPLACED_MS = 2_000;

/** How long the hub remembers that a life was replaced. It is longer than any instance outlives its successor. */
const REMEMBER_REPLACED_MS = 600_000;

/**
 * All relays together may take about this part of the free seats beyond those that they need at once. Blocks therefore
 * become small when seats are scarce.
 */
const BLOCK_PART = 1 / 2;

/** The seats of one life of a relay. */
interface Holding {
  readonly relay: string;
  readonly life: string;
  held: number;
  /** How many clients the relay had when it last said so. */
  used: number;
  /** The version of the newest answer. */
  version: number;
  /** Whether a recall is under way. */
  isRecalled: boolean;
  /** The number of the newest request. */
  request: number;
  expiresAt: number;
  /** Until when a life that was replaced keeps its seats; Infinity for the whole lease. */
  replacedUntil: number;
  /** How the hub's stream to this life has ended: by itself, or because another life attached. Null if it has not. */
  ended: "gone" | "replaced" | null;
}

/** What a life of a relay holds. */
export interface Held {
  readonly held: number;
  readonly version: number;
}

/** What a relay may get: no more than it holds, what its clients and its waiting connects need, or a block besides. */
export type Grant = "nothing" | "needed" | "block";

/** A recall for one relay. */
export interface Recall {
  readonly relay: string;
  readonly version: number;
}

/** A relay that has a lease. */
export interface KnownRelay {
  readonly relay: string;
  readonly life: string;
  readonly held: number;
  readonly used: number;
}

/**
 * Which relay holds how many of a channel's seats. The sum never exceeds the limit. The ledger never counts fewer seats
 * for a relay than the relay believes to hold, whatever happens to the messages between them:
 *
 * - Seats are counted before the answer that grants them leaves, and the relay stops using seats before it sends the
 *   request that gives them back.
 * - A request with an older number than the newest, or one that was meant for an earlier life of the hub, takes nothing
 *   away from the relay.
 * - A recall has a higher version than all answers before it, and the relay ignores these answers once it has the
 *   recall. The hub ignores the reply to a recall once it has given that relay an answer with a higher version.
 */
export class SeatLedger {
  readonly #limit: number;
  readonly #hub: string;
  readonly #store: SeatStore;
  /** By relay and life, in the order in which the lives came. */
  readonly #holdings = new Map<string, Holding>();
  /** The life of each relay that attached last. There are at most as many names as relays were ever awake at a time. */
  readonly #attached = new Map<string, string>();
  /** When to forget that a life was replaced, by relay and life. */
  readonly #replaced = new Map<string, number>();
  /** The lives whose seats have changed since they were stored, by relay and life. */
  readonly #unsaved = new Map<string, { readonly relay: string; readonly life: string }>();
  #sum = 0;
  /** The newest version of an answer or a recall, for all relays together. */
  #version = 0;

  /** @param hub a random name of this life of the hub */
  constructor(limit: number, hub: string, store: SeatStore) {
    this.#limit = limit;
    this.#hub = hub;
    this.#store = store;
  }

  /** How many seats no relay holds. */
  get free(): number {
    return Math.max(0, this.#limit - this.#sum);
  }

  /** Takes over the leases of an earlier life of the hub. Each counts for its full time. */
  restore(now: number): void {
    const kept = this.#store.all();
    // The store lacks the versions of recalls and of answers that changed nothing. The time is higher than these.
    this.#version = Math.max(now, ...kept.map(({ version }) => version + 1));
    for (const { relay, life, held } of kept) {
      const holding = this.#add(relay, life, now);
      holding.held = held;
      holding.used = held;
      this.#sum += held;
    }
  }

  /** The relays that hold seats or have clients. */
  relays(): KnownRelay[] {
    return Array.from(this.#holdings.values())
      .filter((holding) => isAwake(holding) && !this.isReplaced(holding.relay, holding.life))
      .map(({ relay, life, held, used }) => ({ relay, life, held, used }));
  }

  /** Whether a life of a relay was replaced by another one. It must end its clients and its feed. */
  isReplaced(relay: string, life: string): boolean {
    return this.#replaced.has(keyOf(relay, life));
  }

  /** How many seats are missing to give the clients of a relay, and the connects that wait at it, a seat. */
  missingFor({ relay, life, used, waiting, wanted }: LeaseRequest): number {
    if (this.isReplaced(relay, life)) {
      return 0;
    }
    const held = this.#holdings.get(keyOf(relay, life))?.held ?? 0;
    const needed = Math.min(wanted, used + waiting);
    return Math.max(0, needed - held - this.free);
  }

  /** Whether the hub waits for a relay's reply to a recall. */
  isRecalled(relay: string, life: string): boolean {
    return this.#holdings.get(keyOf(relay, life))?.isRecalled ?? false;
  }

  /**
   * Grants, renews or takes back seats, as a relay wants it. The relay may have the answer when `save` has resolved.
   */
  lease(request: LeaseRequest, grant: Grant, now: number): Held {
    const { relay, life, used } = request;
    const holding = this.#holdings.get(keyOf(relay, life)) ?? this.#add(relay, life, now);
    if (request.number > holding.request) {
      holding.request = request.number;
      holding.used = used;
      this.#settle(holding, request, grant, now);
    }
    return { held: this.isReplaced(relay, life) ? 0 : holding.held, version: holding.version };
  }

  /** Begins a recall at every relay with seats except one. */
  recall(except: string): Recall[] {
    const version = ++this.#version;
    const recalled = Array.from(this.#holdings.values()).filter(
      ({ relay, life, held }) => relay !== except && held > 0 && !this.isReplaced(relay, life),
    );
    return recalled.map((holding) => {
      holding.isRecalled = true;
      return { relay: holding.relay, version };
    });
  }

  /** Notes a relay's reply to a recall. It is ignored if the relay was given a newer answer. */
  recalled(relay: string, version: number, reply: Recalled): boolean {
    const holding = this.#holdings.get(keyOf(relay, reply.life));
    if (holding === undefined || holding.version >= version) {
      return false;
    }
    holding.used = reply.used;
    holding.isRecalled = false;
    this.#change(holding, Math.min(holding.held, reply.held));
    return true;
  }

  /** Notes that the hub has a stream to a life of a relay. The other lives of the relay are thereby replaced. */
  attached(relay: string, life: string, now: number): void {
    const holding = this.#holdings.get(keyOf(relay, life));
    if (holding !== undefined) {
      holding.ended = null;
    }
    const others = new Set([this.#attached.get(relay) ?? life, ...this.livesOf(relay)]);
    others.delete(life);
    others.forEach((other) => this.replace(relay, other, now));
    this.#attached.set(relay, life);
  }

  /** Notes that the stream to a life of a relay has ended: by itself, or because another life attached. */
  ended(relay: string, life: string, reason: "gone" | "replaced", now: number): void {
    const holding = this.#holdings.get(keyOf(relay, life));
    if (holding !== undefined) {
      holding.ended = reason;
      this.#hurryIfReplaced(holding, now);
    }
  }

  /**
   * Notes that another life of a relay has taken the place of this one. If the stream to this life has ended by itself,
   * it is dead, and its seats are free at once. Otherwise it learns from the end of its stream, or from the answer to
   * its next request, that it has to end its clients.
   */
  replace(relay: string, life: string, now: number): void {
    const key = keyOf(relay, life);
    this.#replaced.set(key, now + REMEMBER_REPLACED_MS);
    const holding = this.#holdings.get(key);
    if (holding !== undefined) {
      this.#hurryIfReplaced(holding, now);
    }
  }

  /** Notes that a life of a relay was not replaced after all. */
  reinstate(relay: string, life: string): void {
    const key = keyOf(relay, life);
    this.#replaced.delete(key);
    const holding = this.#holdings.get(key);
    if (holding !== undefined) {
      holding.replacedUntil = Number.POSITIVE_INFINITY;
    }
  }

  /** The lives of a relay that have a lease, even if they hold no seats. */
  livesOf(relay: string): string[] {
    return Array.from(this.#holdings.values()).flatMap((holding) =>
      holding.relay === relay ? holding.life : [],
    );
  }

  /** Whether the stream to a life of a relay has ended by itself. */
  isGone(relay: string, life: string): boolean {
    return this.#holdings.get(keyOf(relay, life))?.ended === "gone";
  }

  /** Ends the leases whose time is over. Returns their relays. */
  expire(now: number): string[] {
    const expired: string[] = [];
    for (const holding of this.#holdings.values()) {
      // If the clock was set back, a lease must not last longer for it.
      holding.expiresAt = Math.min(holding.expiresAt, now + LEASE_MS);
      if (Math.min(holding.expiresAt, holding.replacedUntil) <= now) {
        this.#remove(holding);
        expired.push(holding.relay);
      }
    }
    for (const [key, until] of this.#replaced) {
      if (until <= now || until > now + REMEMBER_REPLACED_MS) {
        this.#replaced.delete(key);
      }
    }
    return expired;
  }

  /** Stores what has changed. Resolves when everything is durable. What could not be stored is stored the next time. */
  async save(): Promise<void> {
    const unsaved = new Map(this.#unsaved);
    this.#unsaved.clear();
    try {
      for (const [key, { relay, life }] of unsaved) {
        const { held = 0, version = 0 } = this.#holdings.get(key) ?? {};
        this.#store.save({ relay, life, held, version });
      }
      // Also if nothing has changed: an earlier change may not be durable yet.
      await this.#store.sync();
    } catch (error) {
      unsaved.forEach((of, key) => this.#unsaved.set(key, of));
      throw error;
    }
  }

  #settle(holding: Holding, { used, waiting, wanted, hub }: LeaseRequest, grant: Grant, now: number): void {
    const isReplaced = this.isReplaced(holding.relay, holding.life);
    if (wanted > holding.held && grant !== "nothing" && !isReplaced) {
      const missing = wanted - holding.held;
      const needed = Math.min(missing, Math.max(0, used + waiting - holding.held), this.free);
      const part = grant === "block" ? BLOCK_PART / this.#holdings.size : 0;
      const block = Math.floor((this.free - needed) * part);
      this.#change(holding, holding.held + needed + Math.min(missing - needed, block));
    } else if (wanted < holding.held && hub === this.#hub) {
      this.#change(holding, wanted);
    }
    if (!isReplaced) {
      holding.expiresAt = now + LEASE_MS;
    }
    holding.version = ++this.#version;
    holding.isRecalled = false;
  }

  #add(relay: string, life: string, now: number): Holding {
    const holding: Holding = {
      relay,
      life,
      held: 0,
      used: 0,
      version: this.#version,
      isRecalled: false,
      request: 0,
      expiresAt: now + LEASE_MS,
      replacedUntil: Number.POSITIVE_INFINITY,
      ended: null,
    };
    this.#holdings.set(keyOf(relay, life), holding);
    return holding;
  }

  #change(holding: Holding, held: number): void {
    if (held !== holding.held) {
      this.#sum += held - holding.held;
      holding.held = held;
      this.#unsaved.set(keyOf(holding.relay, holding.life), holding);
    }
  }

  #hurryIfReplaced(holding: Holding, now: number): void {
    if (!this.isReplaced(holding.relay, holding.life)) {
      return;
    }
    if (holding.ended === "gone") {
      this.#remove(holding);
    } else if (holding.ended === "replaced") {
      holding.replacedUntil = now + REPLACED_MS;
    }
  }

  #remove(holding: Holding): void {
    this.#change(holding, 0);
    this.#holdings.delete(keyOf(holding.relay, holding.life));
  }
}

function keyOf(relay: string, life: string): string {
  return `${relay} ${life}`;
}

function isAwake({ held, used }: Holding): boolean {
  return held > 0 || used > 0;
}
