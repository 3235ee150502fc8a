import type { Config } from "../config/schema.ts";
import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { OpenStreams } from "../hub/audience/open-streams.ts";
import { clientList } from "../hub/client-list.ts";
import type { Logger } from "../hub/logger.ts";
import { Relay } from "../relay/relay.ts";
import { formatRelay, type RelayPort } from "../relay/relay-port.ts";
import type { Upstream } from "../relay/upstream.ts";
import { relaySettingsOf } from "../service/hub-settings.ts";
import { STREAM_HEADERS } from "../service/response/stream-headers.ts";
import { PulledClientStream } from "./client-stream.ts";
import { processClock as clock } from "./clock.ts";
import type { Calls } from "./rpc/caller.ts";
import { remoteHub } from "./rpc/ports.ts";

/** What the relays of a serving process share. */
export interface RelayPlace {
  readonly config: Config;
  readonly orderer: Calls;
  /** The number of the serving process, and of each of its relays. */
  readonly number: number;
  /** Shared by all relays of the process. */
  readonly openStreams: OpenStreams;
  readonly logger: (channel: string) => Logger;
}

/** The name of the relay of a serving process within each channel. */
export function localRelay(number: number): string {
  return formatRelay({ region: "local", number });
}

/** The relay of one channel in a serving process, and its timer. */
export class LocalRelay {
  readonly #relay: Relay;
  readonly #onRest: () => void;
  /** How many requests are running. Meanwhile the relay does not rest. */
  #arriving = 0;
  #hasAlarm = false;
  #cancelAlarm: () => void = () => {};

  /** @param onRest called when the relay has no clients, no stream of its hub and nothing to do */
  constructor(channel: string, place: RelayPlace, onRest: () => void) {
    const { config, orderer, number, openStreams, logger } = place;
    const name = localRelay(number);
    const hub = remoteHub(orderer, channel);
    this.#onRest = onRest;
    // A process holds as many clients as the channel may have.
    const settings = {
      ...relaySettingsOf(config, channel, name),
      clientsPerObject: config.sse.max_connections,
    };
    this.#relay = new Relay(settings, {
      clock,
      logger: logger(channel),
      random: Math.random,
      openStreams,
      setAlarm: (at) => this.#setAlarm(at),
      upstream: (life) => upstreamOf(orderer, channel, { name, life }),
      lease: (request) => hub.lease(request),
    });
  }

  /** @throws HubError as `Relay.connect` */
  async connect(request: ConnectRequest): Promise<Response> {
    this.#arriving++;
    try {
      const stream = new PulledClientStream();
      await this.#relay.connect(request, stream);
      return new Response(stream.readable, { headers: STREAM_HEADERS });
    } finally {
      this.#arriving--;
    }
  }

  /** What the orderer may ask the relay for. */
  get port(): RelayPort {
    const relay = this.#relay;
    return {
      report: async () => relay.report(),
      clients: async (page) => [...clientList(relay.clients(), page).clients],
      kick: async (clientId) => relay.kick(clientId),
      findDead: () => relay.findDead(),
      end: async (reason) => relay.end(reason),
      settled: () => relay.settled(),
      recall: (version) => relay.recall(version),
    };
  }

  #setAlarm(at: number): void {
    this.#cancelAlarm();
    this.#hasAlarm = true;
    this.#cancelAlarm = clock.after(Math.max(0, at - clock.now()), () => void this.#tick());
  }

  async #tick(): Promise<void> {
    this.#hasAlarm = false;
    await this.#relay.tick();
    if (!this.#hasAlarm && this.#arriving === 0) {
      this.#onRest();
    }
  }
}

/** The hub of a channel as a relay sees it: its stream is a call that the orderer answers by a stream. */
function upstreamOf(orderer: Calls, channel: string, relay: ConnectRequest["relay"]): Upstream {
  const hub = remoteHub(orderer, channel);
  return {
    open: ({ cursor, logName, since }, signal) => {
      const start = {
        lastEventId: cursor === null ? null : String(cursor),
        logName,
        since: cursor === null ? since : null,
      };
      const request = { terms: {}, form: "envelope", start, address: null, endsAt: null, relay };
      return orderer.open({ port: "hub", of: channel, method: "connect", args: [request] }, signal);
    },
    history: (request) => hub.history(request),
  };
}
