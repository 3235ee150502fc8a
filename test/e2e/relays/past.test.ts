import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import type { RawStream } from "../../support/raw-stream.ts";
import { openMany, startRelayed } from "../../support/relays.ts";
import type { PublishedEvent, Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const past = 5_000;

let service: Service;

beforeAll(async () => {
  service = await startRelayed({ relays: { tail_events: 100 } });
});

afterAll(() => service.stop());

const ticks = (count: number, from: number): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({
    type: (from + n) % 10 === 0 ? "tenth" : "tick",
    data: { n: from + n, pad: "x".repeat((from + n) % 300) },
  }));

async function publishPast(channel: string): Promise<void> {
  for (let from = 1; from <= past; from += 1_000) {
    await service.publish(ticks(1_000, from), channel);
  }
}

/** Publishes small batches until it is stopped. Returns the last id. */
async function publishUntil(stop: AbortSignal, channel: string): Promise<number> {
  let next = past + 1;
  while (!stop.aborted) {
    await service.publish(ticks(7, next), channel);
    next += 7;
  }
  return next - 1;
}

const idsOf = (stream: RawStream): number[] =>
  stream.events.filter(({ type }) => type === "tick" || type === "tenth").map(({ id }) => Number(id));

const upTo = (end: number, step = 1): number[] =>
  Array.from({ length: Math.floor(end / step) }, (_, n) => (n + 1) * step);

describe.skipIf(isExcepted("relays in one process"))("The past of a relay", () => {
  it("older than its tail comes whole, in order and once, and then what is live, while others publish", async () => {
    await publishPast("seam");
    const publishing = new AbortController();
    const published = publishUntil(publishing.signal, "seam");
    const all = await openMany(service, 12, { channel: "seam", last_event_id: "0" });
    const filtered = await openMany(service, 4, { channel: "seam", types: "tenth", since: "earliest" });
    // A client that stops in the middle of its replay, and goes on when the tail has left its cursor behind.
    const [pauser] = all;
    pauser?.pause();
    await until(() => all.slice(1).every((stream) => idsOf(stream).length > past + 300), {
      what: () => `the live events; the clients are at ${all.map((stream) => idsOf(stream).length).join()}`,
      timeoutMs: 20_000,
    });
    pauser?.resume();
    await until(() => pauser !== undefined && idsOf(pauser).length > past, {
      what: "the client that paused",
    });
    publishing.abort();
    const end = await published;
    for (const [streams, step] of [
      [all, 1],
      [filtered, 10],
    ] as const) {
      for (const stream of streams) {
        await until(() => Number(idsOf(stream).at(-1)) >= end - (end % step), {
          what: () => `event ${end}; ${idsOf(stream).at(-1)} came`,
        });
        expect(idsOf(stream)).toEqual(upTo(end, step));
        expect(stream.events.map(({ type }) => type)).not.toContain("gap");
      }
    }
    for (const { id, data, type } of all[3]?.events.slice(1) ?? []) {
      const n = Number(id);
      expect([type, data]).toEqual([
        n % 10 === 0 ? "tenth" : "tick",
        JSON.stringify({ n, pad: "x".repeat(n % 300) }),
      ]);
    }
  }, 40_000);

  it("can be resumed from any id, in the tail or before it", async () => {
    await publishPast("resumed");
    // Relays have one tail each, and these clients are on several of them.
    const ids = [0, 1, 999, 1_000, 4_000, 4_898, 4_899, 4_900, 4_901, 4_950, 4_999, 5_000];
    const streams = await Promise.all(
      ids.map((id) => service.stream({ channel: "resumed", last_event_id: String(id) })),
    );
    await service.publish(ticks(1, past + 1), "resumed");
    for (const [index, stream] of streams.entries()) {
      await until(() => idsOf(stream).at(-1) === past + 1, { what: `event ${past + 1}`, timeoutMs: 10_000 });
      expect(idsOf(stream)).toEqual(upTo(past + 1).slice(ids[index]));
    }
  });

  it("is read again for clients that come back after each other, while a slow one still reads it", async () => {
    await publishPast("again");
    const slow = await service.stream({ channel: "again", since: "earliest" });
    slow.pause();
    for (let n = 0; n < 3; n++) {
      const [quick] = await openMany(service, 1, { channel: "again", last_event_id: String(n) });
      await until(() => quick !== undefined && idsOf(quick).at(-1) === past, {
        what: "the past",
        timeoutMs: 10_000,
      });
      expect(idsOf(quick ?? slow)).toEqual(upTo(past).slice(n));
      quick?.reset();
    }
    slow.resume();
    await until(() => idsOf(slow).at(-1) === past, { what: "the past of the slow one", timeoutMs: 10_000 });
    expect(idsOf(slow)).toEqual(upTo(past));
  });
});
