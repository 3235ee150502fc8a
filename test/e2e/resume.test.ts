import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
import { stablePort } from "../support/port.ts";
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

let service: Service;
/** When the second event of the channel `times` was stored, on the clock of the service. */
let secondAt: number;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
  await service.publish(ticks(10), "ten");
  await service.publish(ticks(3), "three");
  await service.publish(ticks(2), "times");
  secondAt = await storedAt("2");
  await until(() => Date.now() > secondAt + 1, { what: "a later time", everyMs: 1 });
  await service.publish(ticks(2, 3), "times");
});

afterAll(() => service.stop());

/** When an event of the channel `times` was stored. */
async function storedAt(id: string): Promise<number> {
  const answer = await service.fetch(`/api/history?channel=times&after=${Number(id) - 1}&limit=1`);
  const { events } = (await answer.json()) as { events: { id: string; published_at: string }[] };
  expect(events[0]?.id).toBe(id);
  return Date.parse(events[0]?.published_at ?? "");
}

describe("The stream: resuming", () => {
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

  it("is logged with the id", async () => {
    const stream = await service.stream({ channel: "ten", last_event_id: "9" });
    const { client_id } = json(await stream.nextEvent({ type: "connected" }));
    const line = await service.logged("client_reconnected", { client_id });
    expect(line).toMatchObject({ level: "info", channel: "ten", last_event_id: "9" });
  });

  it("prefers the header to the query", async () => {
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
  ])("treats an empty id as no id, and is live only (%s)", async (_where, query, request) => {
    const stream = await service.stream({ channel: "ten", ...query }, request);
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: "10" });
    expect(stream.events).toHaveLength(1);
  });

  it("from the head is live only, and from 0 replays everything", async () => {
    const live = await service.stream({ channel: "ten", last_event_id: "10" });
    expect(await live.nextEvent()).toMatchObject({ type: "connected", id: "10" });
    const everything = await service.stream({ channel: "ten", last_event_id: "0" });
    expect(await idsUpTo(everything, 10)).toEqual(upTo(10));
    expect(live.events).toHaveLength(1);
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

  it("a browser that has only received `connected` resumes from its cursor", async () => {
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

  it("replays more than a page, in order and completely", async () => {
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
  it.each([
    ["beyond the head", "4"],
    ["not a number", "1'; DROP TABLE events; --"],
  ])("reports an unknown id, which is %s, in a stream that opens and goes on", async (_what, id) => {
    const stream = await service.stream({ channel: "three" }, { headers: { "Last-Event-ID": id } });
    const connected = await stream.nextEvent();
    expect(connected).toMatchObject({ type: "connected", id: undefined });
    const gap = await stream.nextEvent();
    expect(gap).toMatchObject({ type: "gap", id: "0" });
    expect(json(gap)).toEqual({ requested_id: id, oldest_id: "1", latest_id: "3", reason: "unknown" });
    expect((await stream.collect(3)).map((event) => event.id)).toEqual(["1", "2", "3"]);
  });

  it("in an empty channel has no oldest id", async () => {
    const stream = await service.stream({ channel: "nothing", last_event_id: "5" });
    const gap = await stream.nextEvent({ type: "gap" });
    expect(gap.id).toBe("0");
    expect(json(gap)).toEqual({ requested_id: "5", oldest_id: null, latest_id: "0", reason: "unknown" });
  });

  it("is not sent to a client that names the log of its id", async () => {
    const connected = await (await service.stream({ channel: "three" })).nextEvent();
    const same = await service.stream({
      channel: "three",
      last_event_id: "2",
      log: String(json(connected)["log"]),
    });
    expect(await idsUpTo(same, 3)).toEqual(["3"]);
    expect(same.events.map((event) => event.type)).toEqual(["connected", "tick"]);
  });
});

/** A time with an offset of this many hours. */
function inZone(ms: number, hours: number, zone: string): string {
  return new Date(ms + hours * 3_600_000).toISOString().replace("Z", zone);
}

const open = (since: string): Promise<RawStream> => service.stream({ channel: "times", since });

describe("The stream: since", () => {
  it("earliest starts at the oldest event, with the cursor before it", async () => {
    const stream = await open("earliest");
    expect(await idsUpTo(stream, 4)).toEqual(upTo(4));
    expect(stream.events[0]).toMatchObject({ type: "connected", id: "0" });
  });

  it("an ISO 8601 time starts at the first event stored then or later, in whatever time zone it is written", async () => {
    const thirdAt = await storedAt("3");
    for (const time of [
      new Date(secondAt + 1).toISOString(),
      new Date(thirdAt).toISOString(),
      inZone(thirdAt, 2, "+02:00"),
      inZone(thirdAt, -5.5, "-05:30"),
    ]) {
      const stream = await open(time);
      expect(await idsUpTo(stream, 4), `since=${time}`).toEqual(["3", "4"]);
      expect(stream.events[0]).toMatchObject({ type: "connected", id: "2" });
    }
  });

  it("a duration starts that long ago", async () => {
    expect(await idsUpTo(await open("10m"), 4)).toEqual(upTo(4));
  });

  it("in the future is live only", async () => {
    const stream = await open(new Date(Date.now() + 3_600_000).toISOString());
    expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: "4" });
    expect(stream.events).toHaveLength(1);
  });

  it("before all kept events starts at the oldest one, without a gap", async () => {
    const stream = await open("2001-01-01T00:00:00Z");
    expect(await idsUpTo(stream, 4)).toEqual(upTo(4));
    expect(stream.events.map((event) => event.type)).not.toContain("gap");
  });

  it("is ignored if the client brings an id", async () => {
    const stream = await service.stream({ channel: "times", since: "earliest", last_event_id: "3" });
    expect(await idsUpTo(stream, 4)).toEqual(["4"]);
    const empty = await service.stream({ channel: "times", since: "earliest", last_event_id: "" });
    expect(await idsUpTo(empty, 4)).toEqual(upTo(4));
  });
});

describe("Promises: kill -9", () => {
  it("takes back no event that was acknowledged or received, and a native EventSource reconnects by itself", async () => {
    const dataDir = await makeDataDir();
    const options = {
      dataDir: dataDir.path,
      config: { sse: { retry_after_seconds: 1 } },
      port: await stablePort(),
    };
    let mortal = await startService(options);
    const native = openNative(`${mortal.url}/api/events?on_busy=stream`, ["connected", "tick"]);
    const nativeIds = (): string[] =>
      native.events.filter((event) => event.type === "tick").map((event) => event.id);
    try {
      await native.collect(1);
      const stream = await mortal.stream();
      const log = json(await stream.nextEvent())["log"];
      await mortal.publish({ type: "tick", data: 1, key: "k" });
      const acknowledged: string[] = ["1"];
      const publishing = (async () => {
        try {
          for (let n = 2; ; n++) {
            const answer = await mortal.publish(ticks(1, n));
            acknowledged.push(answer.events[0]?.id ?? "");
          }
        } catch {
          // The connection breaks off with the service.
        }
      })();
      await until(() => acknowledged.length >= 50, { what: "50 acknowledged events" });
      await mortal.kill();
      await publishing;
      const seen = stream.events.filter((event) => event.type === "tick").map((event) => event.id);

      mortal = await startService(options);
      const history = (await (await mortal.fetch("/api/history?limit=1000")).json()) as {
        events: { id: string; data: unknown }[];
        latest_id: string;
      };
      const stored = history.events.map((event) => event.id);
      expect(stored).toEqual(upTo(stored.length));
      expect(history.events.map((event) => event.data)).toEqual(upTo(stored.length).map(Number));
      expect(stored.slice(0, acknowledged.length)).toEqual(acknowledged);
      expect(stored.slice(0, seen.length)).toEqual(seen);

      const resumed = await mortal.stream({ last_event_id: stream.lastEventId, log: String(log) });
      const next = await mortal.publish(ticks(1));
      const last = stored.length + 1;
      expect(next.events[0]?.id).toBe(String(last));
      expect(await idsUpTo(resumed, last)).toEqual(upTo(last, Number(stream.lastEventId) + 1));
      expect(resumed.events.filter((event) => event.type === "gap")).toEqual([]);
      const again = await mortal.publish({ type: "tick", data: 1, key: "k" });
      expect(again.events).toEqual([{ id: "1", type: "tick", duplicate: true }]);

      await until(() => nativeIds().length >= last, {
        what: () => `${last} events; ${nativeIds().join()} came`,
        timeoutMs: 10_000,
      });
      await mortal.publish(ticks(1));
      await until(() => nativeIds().length > last, { what: "the live event" });
      expect(nativeIds()).toEqual(upTo(last + 1));
      expect(native.interruptions.length).toBeGreaterThan(0);
    } finally {
      native.close();
      await mortal.stop();
      await dataDir.remove();
    }
  });
});
