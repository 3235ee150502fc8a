import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { ClientStream, LeaveReason } from "../hub/audience/client.ts";
import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import type { FilterTerms } from "../hub/filter.ts";
import { Hub, type HubHost } from "../hub/hub.ts";
import type { HubSettings } from "../hub/hub-settings.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { Logger } from "../hub/logger.ts";
import type { ChannelCounts, ClientList, ClientPage, ClientView, Ended, HubHealth } from "../hub/views.ts";
import { Leasing } from "./leasing.ts";
import { parseRelay, type RelayPort, type RelayReport } from "./relay-port.ts";
import type { Lease, LeaseRequest } from "./seat-lease.ts";
import type { SeatStore } from "./seat-store.ts";

/** How long the hub waits for a relay. */
const ANSWER_MS = 2_000;

/** A relay is behind if it has lost its hub for this long. */
const BEHIND_MS = 5_000;

/** What a hub with relays needs from the place where it runs. */
export interface RelayedHubHost extends Omit<HubHost, "seats"> {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly seatStore: SeatStore;
  /** Reaches a relay of this channel. */
  relay(name: string): RelayPort;
}

/** The settings of a hub with relays. */
export interface RelayedHubSettings extends HubSettings {
  readonly maxRelays: number;
}

/** What a relay has answered. Null if it did not. */
interface Heard {
  readonly relay: string;
  readonly report: RelayReport | null;
}

/**
 * The hub of a channel whose clients are held by relays. The relays are the clients of the hub itself. The seats under the
 * limit of the channel are leased to them.
 */
export class RelayedHub {
  readonly #settings: RelayedHubSettings;
  readonly #host: RelayedHubHost;
  readonly #hub: Hub;
  readonly #leasing: Leasing;
  /** The reports that are being collected; null if none are. */
  #hearing: Promise<readonly Heard[]> | null = null;

  constructor(settings: RelayedHubSettings, host: RelayedHubHost) {
    const { seatStore, ...hubHost } = host;
    this.#settings = settings;
    this.#host = host;
    // The clients of the hub itself are relays.
    this.#hub = new Hub(settings, {
      ...hubHost,
      relayLeft: ({ name, life }, reason) => this.#relayLeft(name, life, reason),
    });
    this.#leasing = new Leasing(settings, {
      clock: host.clock,
      store: seatStore,
      lifeOf: (relay) => this.#hub.lifeOf(relay),
      recall: (relay, version) => host.relay(relay).recall(version),
    });
  }

  /** Whether no relay is attached. */
  get isEmpty(): boolean {
    return this.#hub.isEmpty;
  }

  /** See `Hub.restore`. */
  restore(kept: Parameters<Hub["restore"]>[0]): void {
    this.#hub.restore(kept);
  }

  /** See `Hub.publish`. */
  publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms = {},
  ): Promise<Receipt[]> {
    return this.#hub.publish(events, publisher, grant);
  }

  /** See `Hub.history`. */
  history(request: HistoryRequest): Promise<HistoryPage> {
    return this.#hub.history(request);
  }

  /**
   * Opens the stream of a relay.
   *
   * @throws HubError also `hub_unreachable` for a client: an old Worker does not know that there are relays
   */
  async connect(request: ConnectRequest, stream: ClientStream): Promise<void> {
    if (request.relay === undefined) {
      throw new HubError("hub_unreachable", "The clients of this channel are moving to relays.");
    }
    const { name, life } = request.relay;
    if (this.#leasing.isReplaced(name, life)) {
      await this.askLife(name);
    }
    if (this.#leasing.isReplaced(name, life)) {
      throw new HubError("draining", "Another life of this relay has taken its place.");
    }
    await this.#hub.connect(request, stream);
    this.#leasing.attached(name, life);
  }

  /** See `Hub.tick`. */
  tick(): Promise<void> {
    return this.#hub.tick();
  }

  /** Gives seats to a relay, or takes them back. See `Leasing.lease`. */
  lease(request: LeaseRequest): Promise<Lease> {
    return this.#leasing.lease(request);
  }

  /** Asks which life of a relay is there now. The seats of all other lives are free at once. */
  async askLife(relay: string): Promise<void> {
    const report = await this.#ask(relay, (port) => port.report());
    if (report !== null) {
      this.#leasing.current(relay, report.life);
    }
  }

  /** Ends the streams of all relays and their clients, and refuses connects until a time. */
  async drain(until: number): Promise<Ended> {
    const ended = await this.#askAll((relay) => relay.end("drain"));
    // Only then the relays themselves: the end of its stream makes a relay end its clients, and nobody would count them.
    this.#hub.drain(until);
    return summed(ended);
  }

  /** Ends a drain. */
  resume(): void {
    this.#hub.resume();
  }

  /** Ends all streams for good. */
  async stop(): Promise<Ended> {
    const ended = await this.#askAll((relay) => relay.end("shutdown"));
    this.#hub.stop();
    return summed(ended);
  }

  /** Waits a moment for the peers of a stop. Resolves to how many streams of clients still linger. */
  async settled(): Promise<number> {
    const lingering = await this.#askAll((relay) => relay.settled());
    await this.#hub.settled();
    return lingering.reduce((total, one) => total + one, 0);
  }

  /** Ends one stream. Resolves to false if no relay has such a client. */
  async kick(clientId: string): Promise<boolean> {
    return (await this.#askAll((relay) => relay.kick(clientId))).includes(true);
  }

  /** Finds the clients that have left without the notice of the runtime. */
  async findDead(): Promise<void> {
    await this.#askAll((relay) => relay.findDead());
  }

  /** A part of the list of clients, relay by relay. */
  async clients({ after, limit }: ClientPage): Promise<ClientList> {
    const [afterRelay = "", afterId = ""] = after.split("~");
    const clients: ClientView[] = [];
    for (const relay of this.#relays().filter((name) => name >= afterRelay)) {
      const left = limit - clients.length;
      const page: ClientPage = { after: relay === afterRelay ? afterId : "", limit: left + 1 };
      const found = await this.#ask(relay, (port) => port.clients(page));
      clients.push(...(found ?? []).slice(0, left).map((client) => ({ ...client, relay })));
      const last = clients.at(-1);
      if (found !== null && found.length > left && last !== undefined) {
        return { clients, next: `${last.relay}~${last.id}` };
      }
    }
    return { clients, next: null };
  }

  async health(): Promise<HubHealth> {
    return this.#healthFrom(await this.#reports());
  }

  /** What the hub and its relays have counted. */
  async counts(): Promise<ChannelCounts> {
    const heard = await this.#reports();
    const health = this.#healthFrom(heard);
    const relays = heard.flatMap(({ relay, report }) =>
      report === null
        ? []
        : [
            {
              relay,
              region: parseRelay(relay).region,
              counters: report.counters,
              activeConnections: report.activeConnections,
              lingeringConnections: report.lingeringConnections,
              eventsBehind: Math.max(0, health.lastEventId - report.lastEventId),
            },
          ],
    );
    return { counters: this.#hub.counters, health, relays };
  }

  #healthFrom(heard: readonly Heard[]): HubHealth {
    const own = this.#hub.health();
    const reports = heard.flatMap(({ report }) => report ?? []);
    const active = reports.reduce((total, one) => total + one.activeConnections, 0);
    const lagging = reports.filter(({ lostForMs }) => lostForMs >= BEHIND_MS);
    const behind = heard.length - reports.length + lagging.length;
    const reasons = [
      ...own.reasons.filter((reason) => reason !== "limit_reached"),
      ...(active < this.#settings.maxConnections ? [] : ["limit_reached"]),
      ...(behind === 0 ? [] : ["relays_behind"]),
    ];
    const working = reasons.length > 0 ? "degraded" : "healthy";
    return {
      ...own,
      status: own.status === "draining" ? "draining" : working,
      reasons,
      activeConnections: active,
      lingeringConnections: reports.reduce((total, one) => total + one.lingeringConnections, 0),
      maxConnections: this.#settings.maxConnections,
      relays: {
        count: heard.length,
        behind,
        eventsBehind: Math.max(0, ...lagging.map(({ lastEventId }) => own.lastEventId - lastEventId)),
      },
    };
  }

  /** The reports of all relays. Questions that come together share one round, so that a flood of them costs little. */
  #reports(): Promise<readonly Heard[]> {
    this.#hearing ??= this.#hear().finally(() => {
      this.#hearing = null;
    });
    return this.#hearing;
  }

  #hear(): Promise<readonly Heard[]> {
    return Promise.all(
      this.#relays().map(async (relay) => ({
        relay,
        report: await this.#ask(relay, (port) => port.report()),
      })),
    );
  }

  /** The relays that hold seats or have clients, in the order of their names. */
  #relays(): string[] {
    return this.#leasing
      .relays()
      .map(({ relay }) => relay)
      .toSorted();
  }

  /** If the stream to a relay is gone, the relay may be dead, or another life of it may have come. Its answer tells. */
  #relayLeft(name: string, life: string, reason: LeaveReason): void {
    this.#leasing.left(name, life, reason);
    if (reason === "client_left") {
      void this.askLife(name);
    }
  }

  async #askAll<Value>(question: (relay: RelayPort) => Promise<Value>): Promise<Value[]> {
    const answers = await Promise.all(this.#relays().map((relay) => this.#ask(relay, question)));
    return answers.filter((answer) => answer !== null) as Value[];
  }

  /** Asks one relay. Null if it does not answer in time. */
  async #ask<Value>(relay: string, question: (port: RelayPort) => Promise<Value>): Promise<Value | null> {
    const { promise: silence, resolve } = Promise.withResolvers<null>();
    const cancel = this.#host.clock.after(ANSWER_MS, () => resolve(null));
    try {
      return await Promise.race([question(this.#host.relay(relay)), silence]);
    } catch (error) {
      this.#host.logger("warn", "relay_unreachable", { relay, error: String(error) });
      return null;
    } finally {
      cancel();
    }
  }
}

function summed(ended: readonly Ended[]): Ended {
  return {
    closed: ended.reduce((total, one) => total + one.closed, 0),
    lingering: ended.reduce((total, one) => total + one.lingering, 0),
  };
}
