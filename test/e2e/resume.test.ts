import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { makeDataDir, startService, type PublishedEvent, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const ticks = (count: number, from = 1): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "tick", data: from + n }));

const upTo = (last: number, first = 1): string[] =>
  Array.from({ length: last - first + 1 }, (_, n) => String(first + n));

const json = (event: { data: string }): Record<string, unknown> =>
  JSON.parse(event.data) as Record<string, unknown>;

/** Reads to the last event that is expected, and returns the ids of all published ones. */
async function idsUpTo(stream: RawStream, last: number): Promise<string[]> {
  await stream.nextEvent({ type: "connected" });
  const found = (): string[] =>
    stream.events.filter((event) => event.type === "tick").map((event) => event.id ?? "");
  await until(() => found().at(-1) === String(last), { what: () => `event ${last}; ${found().join()} came` });
  return found();
}

describe("The stream: resuming", () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ config: { channels: { allowed: ["*"] } } });
    await service.publish(ticks(10), "ten");
  });

  afterAll(() => service.stop());

  it("continues after the id of the Last-Event-ID header", async () => {
    const stream = await service.stream({ channel: "ten" }, { headers: { "Last-Event-ID": "7" } });
    expect(await idsUpTo(stream, 10)).toEqual(["8", "9", "10"]);
    expect(stream.events[0]).toMatchObject({ type: "connected", id: "7" });
    expect(json(stream.events[0] ?? { data: "" })["last_event_id"]).toBe("7");
  });

  it.each(["last_event_id", "lastEventId"])("continues after the id of the parameter %s", async (name) => {
    const stream = await service.stream({ channel: "ten", [name]: "8" });
    expect(await idsUpTo(stream, 10)).toEqual(["9", "10"]);
  });

  it("is told in the log, with the id", async () => {
    const stream = await service.stream({ channel: "ten", last_event_id: "9" });
    const { client_id } = json(await stream.nextEvent({ type: "connected" }));
    const line = await service.logged("client_reconnected", { client_id });
    expect(line).toMatchObject({ level: "info", channel: "ten", last_event_id: "9" });
  });

  it("believes the header rather than the query", async () => {
    const stream = await service.stream(
      { channel: "ten", last_event_id: "2" },
      { headers: { "Last-Event-ID": "9" } },
    );
    expect(await idsUpTo(stream, 10)).toEqual(["10"]);
  });

  it.each([
    ["header", {}, { headers: { "Last-Event-ID": "" } }],
    ["parameter", { last_event_id: "" }, {}],
    ["other parameter", { lastEventId: "" }, {}],
  ])("takes an empty id for none, and is live only (%s)", async (_where, query, request) => {
    const stream = await service.stream({ channel: "ten", ...query }, request);
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: "10" });
    expect(stream.events).toHaveLength(1);
  });

  it("from the head is live, and from 0 is everything", async () => {
    const live = await service.stream({ channel: "ten", last_event_id: "10" });
    expect(await live.nextEvent()).toMatchObject({ type: "connected", id: "10" });
    const everything = await service.stream({ channel: "ten", last_event_id: "0" });
    expect(await idsUpTo(everything, 10)).toEqual(upTo(10));
    expect(live.events).toHaveLength(1);
  });

  it("joins replay and live without a seam", async () => {
    await service.publish(ticks(300), "seam");
    const [stream] = await Promise.all([
      service.stream({ channel: "seam", last_event_id: "5" }),
      (async () => {
        for (let n = 301; n <= 360; n++) {
          await service.publish(ticks(1, n), "seam");
        }
      })(),
    ]);
    expect(await idsUpTo(stream, 360)).toEqual(upTo(360, 6));
  });

  it("applies the filter to the replay, and ends at the head, not at the last match", async () => {
    await service.publish([...ticks(3), { type: "other", data: 1 }, { type: "other", data: 2 }], "filtered");
    const stream = await service.stream({ channel: "filtered", types: "tick", last_event_id: "1" });
    expect(await idsUpTo(stream, 3)).toEqual(["2", "3"]);
    await service.publish(ticks(1, 4), "filtered");
    expect(await stream.nextEvent({ type: "tick" })).toMatchObject({ id: "2" });
    await stream.nextEvent({ type: "tick" });
    expect(await stream.nextEvent({ type: "tick" })).toMatchObject({ id: "6" });
  });

  it("a browser that saw nothing but connected resumes from the cursor in it", async () => {
    await service.publish(ticks(3), "cursor");
    const first = await service.stream({ channel: "cursor", types: "tick" });
    await first.nextEvent({ type: "connected" });
    expect(first.lastEventId).toBe("3");
    first.reset();
    await service.publish(ticks(2, 4), "cursor");
    const second = await service.stream(
      { channel: "cursor" },
      { headers: { "Last-Event-ID": first.lastEventId } },
    );
    expect(await idsUpTo(second, 5)).toEqual(["4", "5"]);
  });

  it("in an empty channel starts at 0, and the first event is not missed", async () => {
    const first = await service.stream({ channel: "empty" });
    expect(await first.nextEvent()).toMatchObject({ type: "connected", id: "0" });
    first.reset();
    await service.publish(ticks(1), "empty");
    const second = await service.stream({ channel: "empty", last_event_id: "0" });
    expect(await idsUpTo(second, 1)).toEqual(["1"]);
    expect(second.events.map((event) => event.type)).toEqual(["connected", "tick"]);
  });

  it("replays more than a page, in order and whole", async () => {
    const data = "x".repeat(900);
    for (let n = 0; n < 3; n++) {
      await service.publish(
        Array.from({ length: 1_000 }, () => ({ type: "tick", data })),
        "pages",
      );
    }
    const stream = await service.stream({ channel: "pages", since: "earliest" });
    expect(await idsUpTo(stream, 3_000)).toEqual(upTo(3_000));
    expect(stream.events.slice(1).every((event) => event.data === `"${data}"`)).toBe(true);
  });
});

describe("The stream: gap", () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({
      config: { channels: { allowed: ["*"] } },
    });
    await service.publish(ticks(3), "three");
  });

  afterAll(() => service.stop());

  it.each([
    ["beyond the head", "4"],
    ["far beyond", "9007199254740993"],
    ["not a number", "abc"],
    ["negative", "-1"],
    ["a fraction", "1.5"],
    ["exponential", "1e0"],
    ["hexadecimal", "0x1"],
    ["two numbers", "1,2"],
    ["an attack", "1'; DROP TABLE events; --"],
  ])("says unknown for an id that is %s, in a stream that opens and goes on", async (_what, id) => {
    const stream = await service.stream({ channel: "three" }, { headers: { "Last-Event-ID": id } });
    const connected = await stream.nextEvent();
    expect(connected).toMatchObject({ type: "connected", id: undefined });
    const gap = await stream.nextEvent();
    expect(gap).toMatchObject({ type: "gap", id: "0" });
    expect(json(gap)).toEqual({ requested_id: id, oldest_id: "1", latest_id: "3", reason: "unknown" });
    expect((await stream.collect(3)).map((event) => event.id)).toEqual(["1", "2", "3"]);
  });

  it("cuts the id that it repeats at 64 characters", async () => {
    const stream = await service.stream({ channel: "three", last_event_id: "9".repeat(1_000) });
    expect(json(await stream.nextEvent({ type: "gap" }))["requested_id"]).toBe("9".repeat(64));
  });

  it("says unknown for an id of another log, however small it is", async () => {
    const connected = await (await service.stream({ channel: "three" })).nextEvent();
    const log = String(json(connected)["log"]);
    const same = await service.stream({ channel: "three", last_event_id: "2", log });
    expect(await idsUpTo(same, 3)).toEqual(["3"]);
    expect(same.events.map((event) => event.type)).toEqual(["connected", "tick"]);
    const other = await service.stream({ channel: "three", last_event_id: "2", log: `${log}x` });
    expect(json(await other.nextEvent({ type: "gap" }))).toMatchObject({
      requested_id: "2",
      reason: "unknown",
    });
    expect((await other.collect(3)).map((event) => event.id)).toEqual(["1", "2", "3"]);
  });

  it("in an empty channel has no oldest id", async () => {
    const stream = await service.stream({ channel: "nothing", last_event_id: "5" });
    const gap = await stream.nextEvent({ type: "gap" });
    expect(gap.id).toBe("0");
    expect(json(gap)).toEqual({ requested_id: "5", oldest_id: null, latest_id: "0", reason: "unknown" });
  });

  it("reaches a native EventSource, which then resumes from what is kept", async () => {
    const client = openNative(`${service.url}/api/events?channel=three&last_event_id=77`, ["gap", "tick"]);
    try {
      await client.collect(4);
      expect(client.events.map(({ type, id }) => [type, id])).toEqual([
        ["gap", "0"],
        ["tick", "1"],
        ["tick", "2"],
        ["tick", "3"],
      ]);
    } finally {
      client.close();
    }
  });
});

describe("The stream: since", () => {
  let service: Service;
  /** Between the events 2 and 3, on the clock of the service. */
  let between: number;

  beforeAll(async () => {
    service = await startService({ config: { channels: { allowed: ["*"] } } });
    await service.publish(ticks(2), "times");
    await sleep(300);
    between = Date.now();
    await sleep(1_000);
    await service.publish(ticks(2, 3), "times");
  });

  afterAll(() => service.stop());

  const open = (since: string): Promise<RawStream> => service.stream({ channel: "times", since });

  it("earliest starts at the oldest event, with the cursor before it", async () => {
    const stream = await open("earliest");
    expect(await idsUpTo(stream, 4)).toEqual(upTo(4));
    expect(stream.events[0]).toMatchObject({ type: "connected", id: "0" });
  });

  it("an ISO 8601 time starts at the first event stored then or later", async () => {
    const stream = await open(new Date(between).toISOString());
    expect(await idsUpTo(stream, 4)).toEqual(["3", "4"]);
    expect(stream.events[0]).toMatchObject({ type: "connected", id: "2" });
  });

  it("is inclusive: the time at which an event was stored includes it", async () => {
    const answer = await service.fetch("/api/history?channel=times&after=2&limit=1");
    const { events } = (await answer.json()) as { events: { id: string; published_at: string }[] };
    expect(events[0]?.id).toBe("3");
    const stream = await open(events[0]?.published_at ?? "");
    expect(await idsUpTo(stream, 4)).toEqual(["3", "4"]);
  });

  it.each([
    ["+02:00", 2],
    ["-05:30", -5.5],
    ["+00:00", 0],
  ])("a time may carry an offset (%s)", async (offset, hours) => {
    const local = new Date(between + hours * 3_600_000).toISOString().replace("Z", offset);
    expect(await idsUpTo(await open(local), 4)).toEqual(["3", "4"]);
  });

  it.each(["90s", "10m", "2h", "1d", "365d"])("a duration goes that far back (%s)", async (duration) => {
    expect(await idsUpTo(await open(duration), 4)).toEqual(upTo(4));
  });

  it("a duration leaves out what is older", async () => {
    await until(() => Date.now() - between > 2_000, { what: "the first events to be older" });
    await service.publish(ticks(1), "times-1s");
    const fresh = await service.stream({ channel: "times-1s", since: "1s" });
    expect(await idsUpTo(fresh, 1)).toEqual(["1"]);
    const stale = await open("1s");
    const connected = await stale.nextEvent();
    expect(Number(connected.id)).toBeGreaterThanOrEqual(2);
    expect(stale.events.filter((event) => event.type === "gap")).toEqual([]);
  });

  it("in the future is live only", async () => {
    const stream = await open(new Date(Date.now() + 3_600_000).toISOString());
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: "4" });
    expect(stream.events).toHaveLength(1);
  });

  it("before everything that is kept starts at the oldest, without gap", async () => {
    const stream = await open("2001-01-01T00:00:00Z");
    expect(await idsUpTo(stream, 4)).toEqual(upTo(4));
    expect(stream.events.map((event) => event.type)).not.toContain("gap");
  });

  it("gives way to an id", async () => {
    const stream = await service.stream({ channel: "times", since: "earliest", last_event_id: "3" });
    expect(await idsUpTo(stream, 4)).toEqual(["4"]);
    const empty = await service.stream({ channel: "times", since: "earliest", last_event_id: "" });
    expect(await idsUpTo(empty, 4)).toEqual(upTo(4));
  });
});

describe("Promises: kill -9", () => {
  it("takes back nothing that was acknowledged or seen: ids, events, keys and the log go on", async () => {
    const dataDir = await makeDataDir();
    let service = await startService({ dataDir: dataDir.path });
    try {
      const stream = await service.stream();
      const log = json(await stream.nextEvent())["log"];
      await service.publish({ type: "tick", data: 1, key: "k" });
      const acknowledged: string[] = ["1"];
      const publishing = (async () => {
        try {
          for (let n = 2; ; n++) {
            const answer = await service.publish(ticks(1, n));
            acknowledged.push(answer.events[0]?.id ?? "");
          }
        } catch {
          // The connection breaks off with the service.
        }
      })();
      await until(() => acknowledged.length >= 50, { what: "50 acknowledged events" });
      await service.kill();
      await publishing;
      const seen = stream.events.filter((event) => event.type === "tick").map((event) => event.id);

      service = await startService({ dataDir: dataDir.path });
      const history = (await (await service.fetch("/api/history?limit=1000")).json()) as {
        events: { id: string; data: unknown }[];
        latest_id: string;
      };
      const stored = history.events.map((event) => event.id);
      expect(stored).toEqual(upTo(stored.length));
      expect(history.events.map((event) => event.data)).toEqual(upTo(stored.length).map(Number));
      expect(stored.slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(stored.slice(0, seen.length)).toEqual(seen);

      const resumed = await service.stream({ last_event_id: stream.lastEventId, log: String(log) });
      const next = await service.publish(ticks(1));
      expect(next.events[0]?.id).toBe(String(stored.length + 1));
      expect(await idsUpTo(resumed, stored.length + 1)).toEqual(
        upTo(stored.length + 1, Number(stream.lastEventId) + 1),
      );
      expect(resumed.events.filter((event) => event.type === "gap")).toEqual([]);
      const again = await service.publish({ type: "tick", data: 1, key: "k" });
      expect(again.events).toEqual([{ id: "1", type: "tick", duplicate: true }]);
    } finally {
      await service.stop();
      await dataDir.remove();
    }
  });

  it("is survived by a native EventSource: every event once, in order, by itself", async () => {
    const dataDir = await makeDataDir();
    const config = { sse: { retry_after_seconds: 1 } };
    let service = await startService({ dataDir: dataDir.path, config });
    const client = openNative(`${service.url}/api/events?on_busy=stream`, ["connected", "tick"]);
    const ids = (): string[] =>
      client.events.filter((event) => event.type === "tick").map((event) => event.id);
    try {
      await client.collect(1);
      await service.publish(ticks(20));
      await until(() => ids().length === 20, { what: "20 events" });
      await service.kill();
      service = await startService({ dataDir: dataDir.path, config, port: service.port });
      await service.publish(ticks(20, 21));
      await until(() => ids().length >= 40, {
        what: () => `40 events; ${ids().join()} came`,
        timeoutMs: 10_000,
      });
      await service.publish(ticks(1, 41));
      await until(() => ids().length >= 41, { what: "the live event" });
      expect(ids()).toEqual(upTo(41));
      expect(client.interruptions.length).toBeGreaterThan(0);
    } finally {
      client.close();
      await service.stop();
      await dataDir.remove();
    }
  });

  it("of a client that comes back to a wiped channel: the other log is recognised by its name", async () => {
    const dataDir = await makeDataDir();
    let service = await startService({ dataDir: dataDir.path });
    try {
      const stream = await service.stream();
      const log = String(json(await stream.nextEvent())["log"]);
      await service.publish(ticks(3));
      await service.kill();
      await rm(dataDir.path, { recursive: true, force: true });
      service = await startService({ dataDir: dataDir.path });
      await service.publish(ticks(10));
      const resumed = await service.stream({ last_event_id: "3", log });
      expect(json(await resumed.nextEvent({ type: "gap" }))).toMatchObject({
        reason: "unknown",
        oldest_id: "1",
      });
      expect((await resumed.collect(10)).map((event) => event.id)).toEqual(upTo(10));
    } finally {
      await service.stop();
      await dataDir.remove();
    }
  });
});
