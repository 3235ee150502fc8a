import { HubError } from "../errors.ts";
import type { HubSettings } from "../hub-settings.ts";
import type { LogView, Start, StartRequest } from "../log/log-view.ts";
import { Quota } from "../quota.ts";
import { RefusalRecord } from "../refusal-record.ts";
import type { HubParts } from "../hub-parts.ts";
import type { Probe } from "./probe.ts";
import type { Full, Registry } from "./registry.ts";
import { CHANNEL_FULL, type Seats } from "./seats.ts";

const FULL_DETAILS: Readonly<Record<Full, string>> = {
  limit: CHANNEL_FULL,
  address_limit: "This address already holds as many streams of this channel as one address may.",
};

const TOO_MANY_CONNECTS = "This address has asked for too many streams of this channel in the last minute.";
const TOKEN_HAS_ENDED = "The token of this stream has expired.";

/** What decides whether a client is let in. */
export interface EntryRequest {
  readonly start: StartRequest;
  /** The client's address, as the key by which the limits per address count; null if they do not apply. */
  readonly address: string | null;
  /** When the token that opened the stream ends, in ms since the epoch; null for never. */
  readonly endsAt: number | null;
  /** Whether the client is a relay. Default: false. */
  readonly isRelay?: boolean;
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
 * are probed, and the waiting connects take the slots of the clients that turn out to be dead.
 */
export class Admission {
  readonly #registry: Registry;
  readonly #seats: Seats;
  readonly #probe: Probe;
  readonly #view: LogView;
  readonly #host: AdmissionHost;
  readonly #parts: HubParts;
  readonly #connects: Quota;
  readonly #refusals: RefusalRecord;
  readonly #waiting = new Set<Waiting>();

  constructor(
    settings: HubSettings,
    registry: Registry,
    seats: Seats,
    probe: Probe,
    view: LogView,
    host: AdmissionHost,
    parts: HubParts,
  ) {
    const { clock, logger, counters } = parts;
    this.#registry = registry;
    this.#seats = seats;
    this.#probe = probe;
    this.#view = view;
    this.#host = host;
    this.#parts = parts;
    this.#connects = new Quota(settings.maxConnectsPerMinutePerAddress, TOO_MANY_CONNECTS, clock);
    this.#refusals = new RefusalRecord("connect_refused", counters.rejections, clock, logger);
  }

  /**
   * Takes a slot as soon as there is one.
   *
   * @param take registers the client where its stream starts
   * @throws HubError `rate_limited`, `token_ended`, `limit`, `relay_full`, `address_limit`, `draining` or
   * `shutting_down`, and whatever `beforeFirstClient` throws
   */
  async enter(request: EntryRequest, take: (start: Start) => void): Promise<void> {
    const { closing } = this.#parts;
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
      await this.#takeSlot(request, () => take(start));
    } catch (error) {
      this.#refusals.note(error);
      throw error;
    }
  }

  /** Gives each free slot to the longest-waiting connect that fits. Call it after clients have left. */
  fillFreeSlots(): void {
    if (this.#parts.closing.reason !== null) {
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
    if (endsAt !== null && endsAt <= this.#parts.clock.now()) {
      throw new HubError("token_ended", TOKEN_HAS_ENDED);
    }
  }

  /** Awaits nothing between finding a slot and taking it, which keeps the limits exact. */
  async #takeSlot({ address, isRelay = false }: EntryRequest, take: () => void): Promise<void> {
    let full = this.#registry.fullBecause(address, isRelay);
    if (full === "limit" && !isRelay) {
      await this.#seats.request();
      this.#parts.closing.requireOpenToStreams();
      full = this.#registry.fullBecause(address);
    }
    if (full === null) {
      take();
      return;
    }
    if (isRelay) {
      throw new HubError("limit", "This object serves as many relays as it can.");
    }
    // An address at its limit probes only its own clients: its connects must not cost the clients of others anything.
    const waitMs = this.#probe.start(full === "limit" ? null : address);
    const hasTaken = await this.#waitForSlot(address, take, waitMs);
    if (!hasTaken) {
      this.#parts.closing.requireOpenToStreams();
      throw new HubError(full, FULL_DETAILS[full]);
    }
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
      const cancel = this.#parts.clock.after(forMs, () => waiting.done(false));
      this.#waiting.add(waiting);
    });
  }
}
