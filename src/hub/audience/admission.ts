import { HubError } from "../errors.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { LogView, Start, StartRequest } from "../log/log-view.ts";
import { Quota } from "../quota.ts";
import { RefusalRecord } from "../refusal-record.ts";
import type { Shared } from "../shared.ts";
import type { Heartbeat } from "./heartbeat.ts";
import type { Full, Registry } from "./registry.ts";

/** How long a connect waits for a dead client's slot. */
const PROBE_WAIT_MS = 250;

/** The shortest time between two probes, however many connects are refused. */
const PROBE_PAUSE_MS = 1_000;

const FULL_DETAILS: Readonly<Record<Full, string>> = {
  limit: "All connections of this channel are in use.",
  address_limit: "This address already holds as many streams of this channel as one address may.",
};

const TOO_MANY_CONNECTS = "This address has asked for too many streams of this channel in the last minute.";
const TOKEN_HAS_ENDED = "A valid token is needed: Authorization: Bearer <token>.";

/** What decides whether a client is let in. */
export interface EntryRequest {
  readonly start: StartRequest;
  /** The client's address, as the key by which the limits per address count; null if they do not apply. */
  readonly address: string | null;
  /** When the token that opened the stream ends, in ms since the epoch; null for never. */
  readonly endsAt: number | null;
}

/** What the admission needs from the place where the hub runs. */
export interface AdmissionHost {
  /**
   * Announces that the channel is about to have a client, so that a drain or a stop of all channels reaches it. Applies
   * a drain or a stop that is already in force. Called only while the channel has no client.
   *
   * @throws HubError if the channel does not exist yet and must not be created
   */
  beforeFirstClient(address: string | null): Promise<void>;
}

/** A connect that waits for a slot. */
interface Waiting {
  readonly address: string | null;
  readonly take: () => void;
  readonly done: (hasTaken: boolean) => void;
}

/**
 * Decides which connects get a slot. A dead client must not hold a slot. Before a connect is refused, the quiet clients
 * get a heartbeat, and the waiting connects take the slots of the clients that turn out to be dead.
 */
export class Admission {
  readonly #registry: Registry;
  readonly #heartbeat: Heartbeat;
  readonly #view: LogView;
  readonly #host: AdmissionHost;
  readonly #shared: Shared;
  readonly #connects: Quota;
  readonly #refusals: RefusalRecord;
  readonly #waiting = new Set<Waiting>();
  /** When the clients of an address were last probed, or all clients (null). Entries are dropped after the pause. */
  readonly #probedAt = new Map<string | null, number>();

  constructor(
    settings: HubSettings,
    registry: Registry,
    heartbeat: Heartbeat,
    view: LogView,
    host: AdmissionHost,
    shared: Shared,
  ) {
    const { clock, logger, counters } = shared;
    this.#registry = registry;
    this.#heartbeat = heartbeat;
    this.#view = view;
    this.#host = host;
    this.#shared = shared;
    this.#connects = new Quota(settings.maxConnectsPerMinutePerAddress, TOO_MANY_CONNECTS, clock);
    this.#refusals = new RefusalRecord("connect_refused", counters.rejections, clock, logger);
  }

  /**
   * Takes a slot as soon as there is one.
   *
   * @param take registers the client where its stream starts
   * @throws HubError `rate_limited`, `token_ended`, `limit`, `address_limit`, `draining` or `shutting_down`, and
   * whatever `beforeFirstClient` throws
   */
  async enter(request: EntryRequest, take: (start: Start) => void): Promise<void> {
    const { closing } = this.#shared;
    try {
      this.#connects.use(request.address);
      this.#requireValidToken(request);
      closing.requireOpenToStreams();
      if (this.#registry.size === 0) {
        await this.#host.beforeFirstClient(request.address);
        closing.requireOpenToStreams();
      }
      const start = await this.#view.start(request.start);
      closing.requireOpenToStreams();
      await this.#takeSlot(request.address, () => take(start));
    } catch (error) {
      this.#refusals.note(error);
      throw error;
    }
  }

  /** Gives each free slot to the longest-waiting connect that fits. Call it after clients have left. */
  fillFreeSlots(): void {
    if (this.#shared.closing.reason !== null) {
      return;
    }
    for (const waiting of this.#waiting) {
      if (this.#registry.fullBecause(waiting.address) === null) {
        waiting.take();
        waiting.done(true);
      }
    }
  }

  /** Refuses all waiting connects. Call it when the hub closes. */
  refuseWaiting(): void {
    for (const waiting of this.#waiting) {
      waiting.done(false);
    }
  }

  /** Forgets counts that no longer matter. */
  tidy(): void {
    this.#connects.tidy();
  }

  #requireValidToken({ endsAt }: EntryRequest): void {
    if (endsAt !== null && endsAt <= this.#shared.clock.now()) {
      throw new HubError("token_ended", TOKEN_HAS_ENDED);
    }
  }

  /** Awaits nothing between finding a slot and taking it, which keeps the limits exact. */
  async #takeSlot(address: string | null, take: () => void): Promise<void> {
    const full = this.#registry.fullBecause(address);
    if (full === null) {
      take();
      return;
    }
    // An address at its limit probes only its own clients: its connects must not cost the clients of others anything.
    const probedAt = this.#probe(full === "limit" ? null : address);
    const waitMs = probedAt + PROBE_WAIT_MS - this.#shared.clock.now();
    const hasTaken = await this.#waitForSlot(address, take, waitMs);
    if (!hasTaken) {
      this.#shared.closing.requireOpenToStreams();
      throw new HubError(full, FULL_DETAILS[full]);
    }
  }

  /** Probes all quiet clients, unless the last probe was too recent, and waits until the dead ones have had time to show. */
  async probe(): Promise<void> {
    const waitMs = this.#probe(null) + PROBE_WAIT_MS - this.#shared.clock.now();
    if (waitMs > 0) {
      await new Promise<void>((resolve) => void this.#shared.clock.after(waitMs, resolve));
    }
  }

  /**
   * Probes the clients of an address, or all (null), unless the last probe was too recent. Returns when they were
   * probed.
   */
  #probe(address: string | null): number {
    const now = this.#shared.clock.now();
    for (const [probed, at] of this.#probedAt) {
      // If the clock was set back, the probe is due again. Otherwise connects would wait until the old time came round.
      if (now < at || now - at >= PROBE_PAUSE_MS) {
        this.#probedAt.delete(probed);
      }
    }
    if (!this.#probedAt.has(null) && !this.#probedAt.has(address) && this.#heartbeat.probe(address)) {
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
      const cancel = this.#shared.clock.after(forMs, () => waiting.done(false));
      this.#waiting.add(waiting);
    });
  }
}
