import { DurableObject } from "cloudflare:workers";
import type { Counters } from "../hub/counters.ts";
import type { NewEvent, Receipt } from "../hub/event-log.ts";
import type { HistoryPage } from "../hub/history.ts";
import { Hub, type ConnectRequest, type HistoryRequest } from "../hub/hub.ts";
import type { HubSettings } from "../hub/hub-settings.ts";
import { LogBudget } from "../hub/log-budget.ts";
import type { Logger } from "../hub/logger.ts";
import type { ClientView, Ended, HubHealth } from "../hub/views.ts";
import { answer, unwrap, type Answer } from "./answer.ts";
import { TransformClientStream } from "./client-stream.ts";
import { directoryOf } from "./directory-object.ts";
import type { Env } from "./env.ts";
import { createLogger } from "./logger.ts";
import { SqliteLog } from "./sqlite-log.ts";
import { STREAM_HEADERS } from "./stream-headers.ts";
import { systemClock } from "./system-clock.ts";

/** Carries a ConnectRequest from the Worker to the object, as percent-encoded JSON. */
const STREAM_REQUEST_HEADER = "Stream-Request";

/** A drain as it is kept. The launch tells whether the service was started anew since: then it is over. */
interface KeptDrain {
  readonly until: number;
  readonly launchId: string;
}

/**
 * Opens a stream at the hub of a channel.
 *
 * @throws HubError as `Hub.connect`
 */
export async function openStream(
  hub: DurableObjectStub<HubObject>,
  request: ConnectRequest,
): Promise<Response> {
  const header = encodeURIComponent(JSON.stringify(request));
  const response = await hub.fetch("https://hub/", { headers: { [STREAM_REQUEST_HEADER]: header } });
  return response.status === 200 ? response : unwrap(await response.json<Answer<never>>());
}

/** The hub of a channel. */
export function hubOf(env: Env, channel: string): DurableObjectStub<HubObject> {
  return env.HUBS.get(env.HUBS.idFromName(channel));
}

/** Hosts the hub of one channel: storage, alarm, and the way in. What the hub does is in `src/hub`. */
export class HubObject extends DurableObject<Env> {
  readonly #channel: string;
  readonly #launchId: string;
  readonly #logger: Logger;
  readonly #hub: Hub;
  #entered: Promise<void> | null = null;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#channel = ctx.id.name ?? "";
    this.#launchId = env.LAUNCH_ID ?? "";
    const logger = createLogger(env.LOGGING.level, { channel: this.#channel });
    this.#logger = new LogBudget(logger, systemClock).log;
    const log = new SqliteLog(ctx.storage);
    this.#hub = new Hub(settingsOf(env, this.#channel), {
      log,
      clock: systemClock,
      logger,
      random: Math.random,
      setAlarm: (at) => void ctx.storage.setAlarm(at),
      saveDrain: (until) => this.#saveDrain(until),
    });
    void ctx.blockConcurrencyWhile(async () => {
      this.#hub.restore({ alarmAt: await ctx.storage.getAlarm(), drainUntil: this.#keptDrain() });
    });
  }

  /** The stream hop: bytes of a stream cross from object to Worker only as a response. */
  override async fetch(request: Request): Promise<Response> {
    const header = request.headers.get(STREAM_REQUEST_HEADER) ?? "";
    const wanted = JSON.parse(decodeURIComponent(header)) as ConnectRequest;
    const answered = await answer(async () => {
      await this.#enter();
      const stream = new TransformClientStream(request.signal);
      await this.#hub.connect(wanted, stream);
      return stream.readable;
    });
    return "value" in answered
      ? new Response(answered.value, { headers: STREAM_HEADERS })
      : Response.json(answered, { status: 503 });
  }

  override alarm(): Promise<void> {
    return this.#hub.tick();
  }

  publish(events: readonly NewEvent[], publisher: string | null): Promise<Answer<Receipt[]>> {
    return answer(async () => {
      await this.#enter();
      return this.#hub.publish(events, publisher);
    });
  }

  history(request: HistoryRequest): HistoryPage {
    return this.#hub.history(request);
  }

  health(): HubHealth {
    return this.#hub.health();
  }

  counters(): { counters: Counters; health: HubHealth } {
    return { counters: this.#hub.counters, health: this.#hub.health() };
  }

  clients(): ClientView[] {
    return this.#hub.clients();
  }

  kick(clientId: string): boolean {
    return this.#hub.kick(clientId);
  }

  drain(until: number): Ended {
    return this.#hub.drain(until);
  }

  resume(): void {
    this.#hub.resume();
  }

  stop(): Ended {
    return this.#hub.stop();
  }

  settled(): Promise<number> {
    return this.#hub.settled();
  }

  /** Tells the directory, once in the life of this instance, that the channel is in use. */
  #enter(): Promise<void> {
    this.#entered ??= this.#announce();
    return this.#entered;
  }

  async #announce(): Promise<void> {
    try {
      const entry = await directoryOf(this.env).enter(this.#channel);
      if (entry.isStopping) {
        this.#hub.stop();
        await this.#hub.settled();
      } else if (entry.isNew && entry.drainUntil !== null) {
        this.#hub.drain(entry.drainUntil);
      }
    } catch (error) {
      // The channel works without the directory; the next request tells it again.
      this.#entered = null;
      this.#logger("warn", "directory_unreachable", { error: String(error) });
    }
  }

  #keptDrain(): number | null {
    const kept = this.ctx.storage.kv.get<KeptDrain>("drain");
    return kept !== undefined && kept.launchId === this.#launchId ? kept.until : null;
  }

  #saveDrain(until: number | null): void {
    if (until === null) {
      this.ctx.storage.kv.delete("drain");
    } else {
      this.ctx.storage.kv.put<KeptDrain>("drain", { until, launchId: this.#launchId });
    }
  }
}

function settingsOf(env: Env, channel: string): HubSettings {
  const { SSE, HISTORY, LIMITS } = env;
  return {
    channel,
    heartbeatIntervalMs: SSE.heartbeat_interval_seconds * 1_000,
    maxConnections: SSE.max_connections,
    maxConnectionsPerAddress: LIMITS.max_connections_per_address,
    maxConnectsPerMinutePerAddress: LIMITS.max_connects_per_minute_per_address,
    maxPublishesPerMinutePerToken: LIMITS.max_publishes_per_minute_per_token,
    connectionTimeoutMs: SSE.connection_timeout_seconds * 1_000,
    retryAfterMs: SSE.retry_after_seconds * 1_000,
    maxStreamAgeMs: LIMITS.max_stream_age_seconds * 1_000,
    retention: {
      maxEvents: HISTORY.max_events,
      maxAgeMs: HISTORY.max_age_seconds * 1_000,
      maxBytes: HISTORY.max_bytes,
    },
  };
}
