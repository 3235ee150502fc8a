import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { lackOfPrograms, titleWith } from "../support/programs.ts";
import { PROXIES, startProxy, type Proxy, type RunningProxy } from "../support/proxies.ts";
import { startSelfHosted } from "../support/self-hosted.ts";
import type { Service } from "../support/service.ts";
import { openTlsStream, PROTOCOLS, type TlsStream } from "../support/tls-client.ts";

/** Longer than the minute after which nginx cuts a silent stream by default, and many others do. */
const QUIET_MS = 65_000;

/** The default heartbeat comes within the minute; with the longest one not a byte does. */
const INTERVALS = [
  { heartbeatSeconds: 30, hasHeartbeats: true, what: "heartbeats alone" },
  { heartbeatSeconds: 300, hasHeartbeats: false, what: "not a byte" },
];

const TRIED = PROXIES.map((proxy) => ({
  name: proxy.name,
  lack: lackOfPrograms(proxy.programs),
  cases: casesOf(proxy),
}));
const CASES = TRIED.filter(({ lack }) => lack === undefined).flatMap(({ cases }) => cases);

function casesOf(proxy: Proxy) {
  return INTERVALS.flatMap((interval) => PROTOCOLS.map((protocol) => ({ ...interval, proxy, protocol })));
}

/** All streams wait through the same minute. */
describe("a quiet minute", () => {
  const services = new Map<number, Service>();
  const proxies: RunningProxy[] = [];
  const streams = new Map<object, TlsStream>();

  beforeAll(async () => {
    for (const { heartbeatSeconds } of CASES.length === 0 ? [] : INTERVALS) {
      const sse = { heartbeat_interval_seconds: heartbeatSeconds };
      services.set(heartbeatSeconds, await startSelfHosted(sse));
    }
    for (const each of CASES) {
      const running = await startProxy(each.proxy, services.get(each.heartbeatSeconds)?.port ?? 0);
      proxies.push(running);
      const door = { protocol: each.protocol, port: running.https };
      const stream = await openTlsStream(door, `/api/events?channel=${channelOf(each)}`);
      await stream.nextEvent(5_000);
      streams.set(each, stream);
    }
    await sleep(CASES.length === 0 ? 0 : QUIET_MS);
  }, QUIET_MS + 60_000);

  afterAll(async () => {
    for (const stream of streams.values()) {
      stream.end();
    }
    await Promise.all(proxies.map((proxy) => proxy.stop()));
    await Promise.all([...services.values()].map((service) => service.stop()));
  });

  describe.each(TRIED)("deploy/", ({ name, lack, cases }) => {
    describe.skipIf(lack !== undefined)(`${titleWith(`a quiet minute behind ${name}`, lack)}`, () => {
      it.each(cases)("is survived with $what over $protocol", async (each) => {
        const stream = streams.get(each);
        expect(stream?.isClosed).toBe(false);
        expect((stream?.comments ?? 0) > 0).toBe(each.hasHeartbeats);
        await services.get(each.heartbeatSeconds)?.publish({ type: "late", data: 1 }, channelOf(each));
        expect((await stream?.nextEvent(1_000))?.type).toBe("late");
      });
    });
  });
});

function channelOf({ proxy: { name }, protocol }: { proxy: Proxy; protocol: string }): string {
  return `${name}-${protocol}`.toLowerCase().replaceAll(/[^a-z0-9]/g, "-");
}
