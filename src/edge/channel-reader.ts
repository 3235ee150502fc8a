import { Hub } from "../hub/hub.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { Counters } from "../hub/counters.ts";
import { MemoryEventLog } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { ClientView, HubHealth } from "../hub/views.ts";
import { unwrap } from "./answer.ts";
import type { Env } from "./env.ts";
import { hubOf } from "./hub-object.ts";
import { settingsOf } from "./hub-settings.ts";
import { lookAtChannel } from "./known-channels.ts";
import { systemClock } from "./system-clock.ts";

/** What can be read of a channel without changing it. */
export interface ChannelReader {
  history(request: HistoryRequest): Promise<HistoryPage>;
  health(): Promise<HubHealth>;
  counters(): Promise<{ counters: Counters; health: HubHealth }>;
  clients(): Promise<ClientView[]>;
  kick(clientId: string): Promise<boolean>;
}

/**
 * Reads a channel. One that nobody has used yet has no object, and does not get one from a look at it: its answers are
 * those of a hub with an empty log.
 */
export async function readerOf(env: Env, channel: string): Promise<ChannelReader> {
  const { isKnown, drainUntil } = await lookAtChannel(env, channel);
  return isKnown ? hubReader(env, channel) : emptyReader(env, channel, drainUntil);
}

function hubReader(env: Env, channel: string): ChannelReader {
  const hub = hubOf(env, channel);
  return {
    history: async (request) => unwrap(await hub.history(request)),
    health: () => hub.health(),
    counters: () => hub.counters(),
    clients: () => hub.clients(),
    kick: (clientId) => hub.kick(clientId),
  };
}

function emptyReader(env: Env, channel: string, drainUntil: number | null): ChannelReader {
  const hub = new Hub(settingsOf(env, channel), {
    log: new MemoryEventLog(),
    clock: systemClock,
    logger: () => {},
    random: Math.random,
    setAlarm: () => {},
    saveDrain: () => {},
    beforeFirstClient: () => Promise.resolve(),
  });
  hub.restore({ alarmAt: null, drainUntil });
  return {
    history: (request) => hub.history(request),
    health: async () => hub.health(),
    counters: async () => ({ counters: hub.counters, health: hub.health() }),
    clients: async () => hub.clients(),
    kick: async (clientId) => hub.kick(clientId),
  };
}
