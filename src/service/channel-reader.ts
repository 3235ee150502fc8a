import { OpenStreams } from "../hub/audience/open-streams.ts";
import { clientList } from "../hub/client-list.ts";
import { Hub } from "../hub/hub.ts";
import { MemoryEventLog } from "../hub/log/event-log.ts";
import type { ChannelReader } from "./host.ts";
import { settingsOf } from "./hub-settings.ts";
import type { Service } from "./service.ts";

/**
 * Reads a channel. Reading must not create the object of an unused channel, so a hub with an empty log answers for it.
 */
export async function readerOf(service: Service, channel: string): Promise<ChannelReader> {
  const { isKnown, drainUntil } = await service.channels.look(channel);
  return isKnown ? service.host.hubs.of(channel) : emptyReader(service, channel, drainUntil);
}

function emptyReader({ host }: Service, channel: string, drainUntil: number | null): ChannelReader {
  const hub = new Hub(settingsOf(host.config, channel), {
    log: new MemoryEventLog(),
    clock: host.clock,
    logger: () => {},
    random: Math.random,
    openStreams: new OpenStreams(),
    setAlarm: () => {},
    saveDrain: () => {},
    beforeFirstClient: () => Promise.resolve(),
  });
  hub.restore({ alarmAt: null, drainUntil });
  return {
    history: (request) => hub.history(request),
    health: async () => hub.health(),
    findDead: async () => {},
    counters: async () => hub.counts(),
    clients: async (page) => clientList(hub.clients(), page),
    kick: async (clientId) => hub.kick(clientId),
  };
}
