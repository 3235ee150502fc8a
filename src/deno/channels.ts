import { clientList } from "../hub/client-list.ts";
import type { HubHealth } from "../hub/views.ts";
import type { Ended } from "../hub/views.ts";
import { RelayedHub } from "../relay/relayed-hub.ts";
import { STREAM_HEADERS } from "../service/response/stream-headers.ts";
import type { Forgotten } from "../sql/channel-table.ts";
import { Channel, type ChannelPlace } from "./channel.ts";
import type { RelayedHubPort } from "./rpc/ports.ts";
import { PulledClientStream } from "./client-stream.ts";
import { processClock as clock } from "./clock.ts";

/** How long an unused hub stays open, and how often to look for such hubs. */
const IDLE_MS = 10_000;
const LOOK_MS = 2_000;

/** How many idle hubs stay open. If there are more, the longest unused are closed sooner: each takes 150 kB. */
const OPEN_CHANNELS = 128;

/** How many channels are tried, to close one of them, when another one is opened. */
const LOOKED_AT = 4;

/** The channels of this process. A hub is opened when it is used, and closed when it is idle and has no clients. */
export class Channels {
  readonly #place: ChannelPlace;
  readonly #open = new Map<string, Channel>();
  #cancel: () => void;

  constructor(place: ChannelPlace) {
    this.#place = place;
    this.#cancel = clock.after(LOOK_MS, () => this.#closeIdle());
  }

  of(name: string): RelayedHubPort {
    const ask = async <Value>(work: (channel: Channel) => Value | Promise<Value>): Promise<Value> =>
      this.#opened(name).use(work);
    return {
      connect: (request) =>
        ask(async ({ hub }) => {
          const stream = new PulledClientStream();
          await hub.connect(request, stream);
          return new Response(stream.readable, { headers: STREAM_HEADERS });
        }),
      publish: (events, publisher, grant) => ask((channel) => channel.publish(events, publisher, grant)),
      history: (request) => ask(({ hub }) => hub.history(request)),
      findDead: () => ask(({ hub }) => hub.findDead()),
      health: () => ask(async ({ hub }) => this.#health(name, await hub.health())),
      counters: () => ask(({ hub }) => hub.counts()),
      clients: (page) =>
        ask(({ hub }) => (hub instanceof RelayedHub ? hub.clients(page) : clientList(hub.clients(), page))),
      kick: (clientId) => ask(({ hub }) => hub.kick(clientId)),
      drain: (until, epoch) =>
        ask<Ended>((channel) =>
          channel.isNews(epoch) ? channel.hub.drain(until) : { closed: 0, lingering: 0 },
        ),
      resume: (epoch) =>
        ask((channel) => {
          if (channel.isNews(epoch)) {
            channel.hub.resume();
          }
        }),
      stop: () => ask(({ hub }) => hub.stop()),
      settled: () => ask(({ hub }) => hub.settled()),
      lease: (request) => ask((channel) => channel.lease(request)),
    };
  }

  /** Frees the seats of a relay that has died, in all open channels. Call it when its process has been replaced. */
  async verifyRelay(relay: string): Promise<void> {
    const hubs = [...this.#open.values()].map(({ hub }) => hub);
    await Promise.all(hubs.map((hub) => (hub instanceof RelayedHub ? hub.askLife(relay) : undefined)));
  }

  /** Opens a channel, and does the work that is due. An open channel has its own timer for that. */
  wake(name: string): void {
    if (this.#open.get(name)?.isBroken === false) {
      return;
    }
    try {
      void this.#opened(name).tick();
    } catch (error) {
      this.#place.logger(name)("error", "channel_not_opened", { error: String(error) });
    }
  }

  /** Deletes a channel that was never published to and has no client. */
  forget(name: string): Forgotten {
    const found = this.#opened(name).forget();
    if (found === "forgotten") {
      this.#open.delete(name);
    }
    return found;
  }

  /** Closes all files. */
  close(): void {
    this.#cancel();
    for (const name of this.#open.keys()) {
      this.#close(name);
    }
  }

  #opened(name: string): Channel {
    if (this.#open.get(name)?.isBroken === true) {
      this.#close(name);
    }
    const open = this.#open.get(name);
    if (open !== undefined) {
      return open;
    }
    this.#makeRoom();
    const channel = new Channel(name, this.#place);
    this.#open.set(name, channel);
    return channel;
  }

  /** A hub without clients is not told of a drain of all channels, but its next client would be refused. */
  #health(name: string, health: HubHealth): HubHealth {
    const { drainUntil } = this.#place.directory.look(name);
    return health.status === "draining" || health.activeConnections > 0 || drainUntil === null
      ? health
      : { ...health, status: "draining", drainUntil };
  }

  /** Looks at the channels in turn, so that many busy ones cost no more than a few. */
  #makeRoom(): void {
    if (this.#open.size < OPEN_CHANNELS) {
      return;
    }
    const now = clock.now();
    let looked = 0;
    for (const [name, channel] of this.#open) {
      if (looked++ >= LOOKED_AT) {
        return;
      }
      this.#open.delete(name);
      this.#open.set(name, channel);
      if (channel.isIdleSince(now)) {
        this.#close(name);
      }
    }
  }

  #closeIdle(): void {
    this.#cancel = clock.after(LOOK_MS, () => this.#closeIdle());
    const idleSince = clock.now() - IDLE_MS;
    for (const [name, channel] of this.#open) {
      if (channel.isIdleSince(idleSince)) {
        this.#close(name);
      }
    }
  }

  #close(name: string): void {
    try {
      this.#open.get(name)?.close();
    } catch (error) {
      this.#place.logger(name)("error", "channel_not_closed", { error: String(error) });
    }
    this.#open.delete(name);
  }
}
