import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type { RawStream } from "../support/raw-stream.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { heartbeat_interval_seconds: 1 }, channels: { allowed: ["*"] } },
  });
});

afterAll(() => service.stop());

const connections = async (channel: string): Promise<number> =>
  (await service.health(channel)).sse.active_connections;

async function clientId(stream: RawStream): Promise<string> {
  const connected = await stream.nextEvent({ type: "connected" });
  return (JSON.parse(connected.data) as { client_id: string }).client_id;
}

/** At the default interval of 30 s the dead must be gone within 60 s, so within two intervals at any. */
const twoIntervalsMs = 2_000;

describe("Promises: the dead leave", () => {
  it.each([
    ["closed its connection (FIN)", "fin", (stream: RawStream) => stream.end(), twoIntervalsMs],
    ["reset its connection (RST)", "rst", (stream: RawStream) => stream.reset(), 500],
  ])("a client that %s leaves the registry and the log says why", async (_how, channel, leave, withinMs) => {
    const stays = await service.stream({ channel });
    const leaves = await service.stream({ channel });
    const id = await clientId(leaves);
    await service.logged("client_connected", { client_id: id });
    expect(await connections(channel)).toBe(2);
    leave(leaves);
    await until(async () => (await connections(channel)) === 1, {
      what: "the client to be out of the registry",
      timeoutMs: withinMs,
    });
    const line = await service.logged("client_disconnected", { client_id: id });
    expect(line).toMatchObject({ level: "info", channel, reason: expect.stringMatching(/^[a-z_]+$/) });
    expect(line["duration_ms"]).toEqual(expect.any(Number));
    expect(stays.closed).toBe(false);
  });

  it("a channel whose clients have all left is empty, and the log has one line for each of them", async () => {
    const channel = "all";
    const streams = await Promise.all(Array.from({ length: 20 }, () => service.stream({ channel })));
    const ids = await Promise.all(streams.map(clientId));
    expect(await connections(channel)).toBe(20);
    for (const [n, stream] of streams.entries()) {
      if (n % 2 === 0) {
        stream.end();
      } else {
        stream.reset();
      }
    }
    await until(async () => (await connections(channel)) === 0, { what: "an empty registry" });
    const disconnected = (): unknown[] =>
      service.logs
        .filter((line) => line.event === "client_disconnected" && line["channel"] === channel)
        .map((line) => line["client_id"]);
    await until(() => disconnected().length >= 20, { what: "20 log lines" });
    expect(disconnected().toSorted()).toEqual(ids.toSorted());
  });

  it("publishing detects a closed connection, and its slot is free at once", async () => {
    const channel = "published";
    const stream = await service.stream({ channel });
    await stream.nextEvent();
    stream.end();
    await until(
      async () => {
        await service.publish({ type: "a", data: 1 }, channel);
        return (await connections(channel)) === 0;
      },
      { what: "the client to be out of the registry", timeoutMs: 1_000 },
    );
    expect(await connections(channel)).toBe(0);
  });
});
