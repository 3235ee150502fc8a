import { DurableObject } from "cloudflare:workers";
import { OpenStreams } from "../hub/audience/open-streams.ts";
import { clientList } from "../hub/client-list.ts";
import type { ClientPage, ClientView, Ended } from "../hub/views.ts";
import { Relay } from "../relay/relay.ts";
import type { RelayReport } from "../relay/relay-port.ts";
import type { Recalled } from "../relay/seat-lease.ts";
import type { Upstream } from "../relay/upstream.ts";
import { relaySettingsOf } from "../service/hub-settings.ts";
import { createLogger } from "../service/logger.ts";
import { STREAM_HEADERS } from "../service/response/stream-headers.ts";
import { answer, unwrap, type Answer } from "../service/answer.ts";
import { TransformClientStream } from "./client-stream.ts";
import { configOf } from "./config.ts";
import type { Env } from "./env.ts";
import {
  openStream,
  relayNamed,
  relayObjectName,
  streamRequest,
  wantedStream,
  type HubRpc,
  type RelayRpc,
} from "./objects.ts";
import { systemClock } from "./system-clock.ts";

/** Objects of one class may share an isolate, and with it the memory. */
const openStreams = new OpenStreams();

/** The Durable Object of one relay: its alarm and its requests. `src/relay` has what the relay does. It stores nothing. */
export class RelayObject extends DurableObject<Env> implements RelayRpc {
  readonly #relay: Relay;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { channel, relay } = relayNamed(ctx.id.name ?? "");
    this.#relay = new Relay(relaySettingsOf(configOf(env), channel, relay), {
      clock: systemClock,
      logger: createLogger(env.LOGGING.level, { channel, relay }),
      random: Math.random,
      openStreams,
      setAlarm: (at) => void ctx.storage.setAlarm(at),
      // The runtime refuses the storage to an object that a newer one has replaced.
      check: () => void ctx.storage.kv.get("alive"),
      upstream: (life) => this.#upstream(channel, relay, life),
      lease: async (request) => unwrap(await this.#hub(channel).lease(request)),
    });
    void ctx.blockConcurrencyWhile(async () => {
      this.#relay.restore(await ctx.storage.getAlarm());
    });
  }

  /** Opens a stream, for a client or for another relay. */
  override async fetch(request: Request): Promise<Response> {
    const answered = await answer(async () => {
      const stream = new TransformClientStream(request.signal);
      await this.#relay.connect(wantedStream(request), stream);
      return stream.readable;
    });
    return "value" in answered
      ? new Response(answered.value, { headers: STREAM_HEADERS })
      : Response.json(answered, { status: 503 });
  }

  override alarm(): Promise<void> {
    return this.#relay.tick();
  }

  report(): Promise<Answer<RelayReport>> {
    return answer(() => this.#relay.report());
  }

  clients(page: ClientPage): Promise<Answer<ClientView[]>> {
    return answer(() => [...clientList(this.#relay.clients(), page).clients]);
  }

  kick(clientId: string): Promise<Answer<boolean>> {
    return answer(() => this.#relay.kick(clientId));
  }

  findDead(): Promise<Answer<void>> {
    return answer(() => this.#relay.findDead());
  }

  end(reason: "drain" | "shutdown"): Promise<Answer<Ended>> {
    return answer(() => this.#relay.end(reason));
  }

  settled(): Promise<Answer<number>> {
    return answer(() => this.#relay.settled());
  }

  recall(version: number): Promise<Answer<Recalled>> {
    return answer(() => this.#relay.recall(version));
  }

  /** Makes a new stub for each question, because a stub that has failed stays broken. */
  #hub(channel: string): DurableObjectStub<HubRpc> {
    return this.env.HUBS.get(this.env.HUBS.idFromName(channel));
  }

  #upstream(channel: string, relay: string, life: string): Upstream {
    return {
      open: async ({ cursor, logName, since, parent }, signal) => {
        const request = streamRequest({
          terms: {},
          form: "envelope",
          start: {
            lastEventId: cursor === null ? null : String(cursor),
            logName,
            since: cursor === null ? since : null,
          },
          address: null,
          endsAt: null,
          relay: { name: relay, life },
        });
        const source =
          parent === null
            ? this.#hub(channel)
            : this.env.RELAY_OBJECTS.get(this.env.RELAY_OBJECTS.idFromName(relayObjectName(channel, parent)));
        const { body } = await openStream(source, request, signal);
        if (body === null) {
          throw new Error("the stream of the hub has no body");
        }
        return body;
      },
      // Relays take turns at the hub like addresses.
      history: async (request) =>
        unwrap(await this.#hub(channel).history({ ...request, address: `relay ${relay}` })),
    };
  }
}
