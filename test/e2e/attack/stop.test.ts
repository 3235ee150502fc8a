import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createAttacker, statuses } from "../../support/attacker.ts";
import { problemOf } from "../../support/problem.ts";
import type { RawStream } from "../../support/raw-stream.ts";
import { usageOf } from "../../support/runtime-usage.ts";
import { publishToken, startService, type Service } from "../../support/service.ts";

const CHANNELS = 1_500;

/** Where clients are: in two channels among the many, and in one that exists only because of its client. */
const OCCUPIED = ["many-1498", "many-17", "zulu"];

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] }, logging: { level: "warn" } } });
  const publisher = createAttacker(service.url, "127.0.0.1");
  const answers = await publisher.askAll(
    Array.from({ length: CHANNELS }, (_, n) => ({
      method: "POST",
      path: `/api/publish?channel=many-${n}`,
      headers: { Authorization: `Bearer ${publishToken}`, "Content-Type": "application/json" },
      body: '{"type":"a","data":1}',
    })),
  );
  publisher.leave();
  if (statuses(answers)[200] !== CHANNELS) {
    throw new Error(`Publishing to new channels: ${JSON.stringify(statuses(answers))}`);
  }
}, 90_000);

afterAll(() => service.stop());

function openStreams(): Promise<RawStream[]> {
  return Promise.all(OCCUPIED.map((channel) => service.stream({ channel })));
}

async function closesOf(streams: readonly RawStream[]): Promise<unknown[]> {
  const closes = await Promise.all(streams.map((stream) => stream.nextEvent({ type: "close" })));
  return closes.map(({ data }) => (JSON.parse(data) as { reason: string }).reason);
}

describe("With 1,500 channels, of which three have clients,", () => {
  it("metrics, a drain of all and a stop reach those three first, and quickly", async () => {
    const drained = await openStreams();
    expect(drained).toHaveLength(OCCUPIED.length);
    await expectMetrics();
    await expectDrain(drained);
    await expectStop(await openStreams());
  });
});

/** The metrics name the channels with clients first, and say how many channels they leave out. */
async function expectMetrics(): Promise<void> {
  const text = await (await service.fetch("/metrics")).text();
  const shown = [...text.matchAll(/^edge_sse_connections\{channel="([^"]+)"\} \d+$/gm)];
  expect(shown).toHaveLength(100);
  const first = shown.slice(0, OCCUPIED.length).map(([, channel = ""]) => channel);
  expect(first.toSorted()).toEqual(OCCUPIED);
  expect(text).toContain(`\nedge_sse_channels ${CHANNELS + 1}\n`);
  expect(text).toContain(`\nedge_sse_channels_not_shown ${CHANNELS + 1 - 100}\n`);
}

/** A drain of all tells the clients, and every other channel learns of it with its next client. */
async function expectDrain(streams: readonly RawStream[]): Promise<void> {
  const usage = usageOf(service);
  const before = { descriptors: usage.descriptors(), megabytes: usage.residentMegabytes() };
  const drained = await service.admin("/api/admin/drain?for_seconds=60", { method: "POST" });
  expect(await drained.json()).toMatchObject({ channels: OCCUPIED.length, closed: OCCUPIED.length });
  expect(await closesOf(streams)).toEqual(["drain", "drain", "drain"]);
  expect(usage.descriptors() - before.descriptors).toBeLessThan(50);
  expect(usage.residentMegabytes() - before.megabytes).toBeLessThan(50);

  for (const channel of ["many-17", "many-8", "unused"]) {
    const refused = await service.fetch(`/api/events?channel=${channel}`);
    expect(await problemOf(refused)).toMatchObject({ status: 503, code: "draining" });
  }
  const resumed = await service.admin("/api/admin/resume", { method: "POST" });
  expect(await resumed.json()).toEqual({ channels: OCCUPIED.length + 1 });
  for (const channel of ["many-17", "many-8", "unused"]) {
    (await service.stream({ channel })).reset();
  }
}

async function expectStop(streams: readonly RawStream[]): Promise<void> {
  const asked = performance.now();
  service.signal("SIGTERM");
  expect(await closesOf(streams)).toEqual(["shutdown", "shutdown", "shutdown"]);
  await Promise.all(streams.map((stream) => stream.untilClosed(1_000)));
  expect(await service.exited()).toBe(0);
  expect(performance.now() - asked).toBeLessThan(5_000);
  expect(service.logs.map(({ event }) => event)).not.toContain("shutdown_without_drain");
}
