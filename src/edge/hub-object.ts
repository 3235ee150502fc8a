import { DurableObject } from "cloudflare:workers";
import type { FilterTerms } from "../hub/filter.ts";
import { OpenStreams } from "../hub/audience/open-streams.ts";
import { closedRefusal } from "../hub/closing.ts";
import { clientList } from "../hub/client-list.ts";
import { Hub } from "../hub/hub.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import { LogBudget } from "../hub/log-budget.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { Logger } from "../hub/logger.ts";
import type { ChannelCounts, ClientList, ClientPage, Ended, HubHealth } from "../hub/views.ts";
import { RelayedHub } from "../relay/relayed-hub.ts";
import { parseRelay } from "../relay/relay-port.ts";
import type { Lease, LeaseRequest } from "../relay/seat-lease.ts";
import { relayedHubSettingsOf, settingsOf, usesRelays } from "../service/hub-settings.ts";
import { createLogger } from "../service/logger.ts";
import { STREAM_HEADERS } from "../service/response/stream-headers.ts";
import type { Forgotten } from "../sql/channel-table.ts";
import { LaunchedSeats } from "../sql/launched-seats.ts";
import { LaunchValues } from "../sql/launch-values.ts";
import { SeatTable } from "../sql/seat-table.ts";
import { SqlLog } from "../sql/sql-log.ts";
import { answer, type Answer } from "../service/answer.ts";
import { TransformClientStream } from "./client-stream.ts";
import { configOf } from "./config.ts";
import { DirectoryLink } from "./directory-link.ts";
import type { Env } from "./env.ts";
import { objectSql } from "./object-sql.ts";
import { relayObjectName, wantedStream, type HubRpc, type RelayRpc } from "./objects.ts";
import { placeOf } from "./region.ts";
import { relayPort } from "./relay-port.ts";
import { systemClock } from "./system-clock.ts";

/** Objects of one class may share an isolate, and with it the memory. */
const openStreams = new OpenStreams();

/** The Durable Object of one channel: its storage, its alarm and its requests. `src/hub` has the rest. */
export class HubObject extends DurableObject<Env> implements HubRpc {
  readonly #channel: string;
  readonly #launch: LaunchValues;
  readonly #logger: Logger;
  #log: SqlLog;
  #hub: Hub | RelayedHub;
  #directory: DirectoryLink;
  /** How many requests are running that may bring a client or an event. Meanwhile the channel is not vacated or forgotten. */
  #arriving = 0;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#channel = ctx.id.name ?? "";
    this.#launch = new LaunchValues(ctx.storage.kv, env.LAUNCH_ID ?? "");
    this.#logger = createLogger(env.LOGGING.level, { channel: this.#channel });
    ({ log: this.#log, hub: this.#hub, directory: this.#directory } = this.#create());
    void ctx.blockConcurrencyWhile(async () => {
      this.#hub.restore({ alarmAt: await ctx.storage.getAlarm(), drainUntil: this.#keptDrain() });
    });
  }

  /** Opens a stream. It crosses from the object to the Worker as a response, because RPC carries no such stream. */
  override async fetch(request: Request): Promise<Response> {
    const wanted = wantedStream(request);
    const answered = await this.#arrival(async () => {
      if (wanted.relay !== undefined && !(this.#hub instanceof RelayedHub)) {
        // The configuration has changed. The relay ends its clients' streams, and they come back to the hub.
        throw closedRefusal("draining");
      }
      const stream = new TransformClientStream(request.signal);
      await this.#hub.connect(wanted, stream);
      return stream.readable;
    });
    if ("refusal" in answered && this.#hub.isEmpty && this.#directory.isOccupied) {
      await this.#armVacating();
    }
    return "value" in answered
      ? new Response(answered.value, { headers: STREAM_HEADERS })
      : Response.json(answered, { status: 503 });
  }

  override async alarm(): Promise<void> {
    await this.#hub.tick();
    if (this.#hub.isEmpty && this.#arriving === 0) {
      if (!(await this.#directory.vacate())) {
        await this.#armVacating();
      }
    }
  }

  publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms,
  ): Promise<Answer<Receipt[]>> {
    return this.#arrival(async () => {
      await this.#directory.enter(publisher);
      return this.#hub.publish(events, publisher, grant);
    });
  }

  history(request: HistoryRequest): Promise<Answer<HistoryPage>> {
    return answer(() => this.#hub.history(request));
  }

  findDead(): Promise<Answer<void>> {
    return answer(() => this.#hub.findDead());
  }

  health(): Promise<Answer<HubHealth>> {
    return answer(async () => {
      const health = await this.#hub.health();
      // A hub without clients is not told of a drain of all channels, but its next client will be refused.
      const drainUntil = health.status === "draining" ? null : await this.#directory.drainUntil();
      return drainUntil === null ? health : { ...health, status: "draining", drainUntil };
    });
  }

  counters(): Promise<Answer<ChannelCounts>> {
    return answer(() => this.#hub.counts());
  }

  clients(page: ClientPage): Promise<Answer<ClientList>> {
    return answer(() =>
      this.#hub instanceof RelayedHub ? this.#hub.clients(page) : clientList(this.#hub.clients(), page),
    );
  }

  kick(clientId: string): Promise<Answer<boolean>> {
    return answer(() => this.#hub.kick(clientId));
  }

  /** @param epoch the directory's epoch of this drain; null if the directory cannot be reached */
  drain(until: number, epoch: number | null): Promise<Answer<Ended>> {
    return answer<Ended>(() =>
      this.#directory.isNews(epoch) ? this.#hub.drain(until) : { closed: 0, lingering: 0 },
    );
  }

  /** @param epoch the directory's epoch that ends all earlier drains; null if the directory cannot be reached */
  resume(epoch: number | null): Promise<Answer<void>> {
    return answer(() => {
      if (this.#directory.isNews(epoch)) {
        this.#hub.resume();
      }
    });
  }

  /** Gives seats to a relay, or takes them back. */
  lease(request: LeaseRequest): Promise<Answer<Lease>> {
    return this.#arrival(async () => {
      if (!(this.#hub instanceof RelayedHub)) {
        // The configuration has changed, and the hub holds the clients itself.
        throw closedRefusal("draining");
      }
      return this.#hub.lease(request);
    });
  }

  stop(): Promise<Answer<Ended>> {
    return answer(() => this.#hub.stop());
  }

  settled(): Promise<Answer<number>> {
    return answer(() => this.#hub.settled());
  }

  /** Deletes a channel that was never published to and has no client. */
  forget(): Promise<Answer<Forgotten>> {
    return answer(() => this.#forget());
  }

  #forget(): Promise<Forgotten> {
    return this.ctx.blockConcurrencyWhile(async () => {
      if (!this.#hub.isEmpty || this.#arriving > 0) {
        return "in_use";
      }
      if (this.#log.head > 0) {
        return "published";
      }
      await this.ctx.storage.deleteAlarm();
      await this.ctx.storage.deleteAll();
      ({ log: this.#log, hub: this.#hub, directory: this.#directory } = this.#create());
      return "forgotten";
    });
  }

  #create(): { log: SqlLog; hub: Hub | RelayedHub; directory: DirectoryLink } {
    const { storage } = this.ctx;
    const log = new SqlLog(objectSql(storage));
    const host = {
      log,
      clock: systemClock,
      logger: this.#logger,
      random: Math.random,
      openStreams,
      setAlarm: (at: number) => void storage.setAlarm(at),
      saveDrain: (until: number | null) => this.#saveDrain(until),
      beforeFirstClient: (address: string | null) => directory.occupy(address),
    };
    const config = configOf(this.env);
    const hub = usesRelays(config)
      ? new RelayedHub(relayedHubSettingsOf(config, this.#channel), {
          ...host,
          seatStore: new LaunchedSeats(new SeatTable(objectSql(storage)), this.#launch),
          relay: (name) => relayPort(this.#relayStub(name)),
        })
      : new Hub(settingsOf(config, this.#channel), host);
    const directory = new DirectoryLink(this.#channel, {
      directory: () => this.env.DIRECTORY.get(this.env.DIRECTORY.idFromName("directory")),
      logger: new LogBudget(this.#logger, systemClock).log,
      exists: () => log.name !== null,
      heed: async ({ isStopping, drainUntil }) => {
        if (isStopping) {
          await hub.stop();
          await hub.settled();
        } else if (drainUntil !== null && drainUntil !== this.#keptDrain()) {
          await hub.drain(drainUntil);
        }
      },
    });
    return { log, hub, directory };
  }

  #relayStub(name: string): DurableObjectStub<RelayRpc> {
    const relays = this.env.RELAY_OBJECTS;
    return relays.get(
      relays.idFromName(relayObjectName(this.#channel, name)),
      placeOf(parseRelay(name).region),
    );
  }

  async #arrival<Value>(work: () => Promise<Value>): Promise<Answer<Value>> {
    this.#arriving++;
    try {
      return await answer(work);
    } finally {
      this.#arriving--;
    }
  }

  /** Makes sure of an alarm, which will vacate the channel. There may be none, if the first client was refused. */
  async #armVacating(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Date.now() + this.env.SSE.heartbeat_interval_seconds * 1_000);
    }
  }

  #keptDrain(): number | null {
    return this.#launch.get<{ readonly until: number }>("drain")?.until ?? null;
  }

  #saveDrain(until: number | null): void {
    if (until === null) {
      this.#launch.delete("drain");
    } else {
      this.#launch.put("drain", { until });
    }
  }
}
