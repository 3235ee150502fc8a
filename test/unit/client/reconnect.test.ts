import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { ClientWorld, settle, type Exchange } from "../../support/client-world.ts";

let world: ClientWorld;

beforeEach(() => {
  world = new ClientWorld();
});

async function connect(options: SSEClientOptions = {}): Promise<SSEClient> {
  const client = new SSEClient(options, world.environment);
  client.connect();
  await settle();
  return client;
}

async function connected(options: SSEClientOptions = {}): Promise<SSEClient> {
  const client = await connect(options);
  world.last.open();
  await settle();
  return client;
}

/** Milliseconds from now to the next request. */
async function pause(): Promise<number> {
  await settle();
  const { time } = world.clock;
  return (await world.nextRequest()).at - time;
}

/** The silence after which the watchdog of a client ends a stream, in milliseconds. NaN if it never does. */
async function bark(seed: number, heartbeatSeconds: number, options: SSEClientOptions = {}): Promise<number> {
  const own = new ClientWorld(seed);
  const client = new SSEClient(options, own.environment);
  let lostAt = Number.NaN;
  client.onStateChange((state, _, problem) => {
    if (state === "reconnecting" && problem?.code === "heartbeat_missed") {
      lostAt = own.clock.time;
    }
  });
  client.connect();
  await settle();
  own.last.open({ heartbeatSeconds });
  await own.advance(200_000);
  return lostAt;
}

function gap(reason: string, requested: string): string {
  return JSON.stringify({ requested_id: requested, oldest_id: "121", latest_id: "900", reason });
}

describe("a client that has lost its stream", () => {
  it.each<[string, (exchange: Exchange) => void]>([
    ["is cut", (exchange) => exchange.cut()],
    ["ends without a word", (exchange) => exchange.end()],
  ])("because it %s makes its first attempt within 100 to 1,500 ms", async (_, lose) => {
    await connected();
    lose(world.last);
    const ms = await pause();
    expect(ms).toBeGreaterThanOrEqual(100);
    expect(ms).toBeLessThanOrEqual(1_500);
  });

  it("resumes after its last id, in its log", async () => {
    await connected({ since: "10m" });
    world.last.event(42).event(43).cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("43");
    expect(world.last.query).toEqual({ log: "log-a" });
  });

  it("resumes at the id of `connected` if no event has arrived yet", async () => {
    await connected();
    world.last.cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("41");
  });

  it("resumes after the id of a heartbeat", async () => {
    await connected();
    world.last.bytes(": heartbeat\nid: 57\n\n").cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("57");
  });

  it("drops an event that was cut off, and gets it from the next stream", async () => {
    const client = await connected();
    const got: unknown[] = [];
    client.on("tick", (data, { id }) => got.push([id, data]));
    world.last.event(42).bytes('event: tick\nid: 43\ndata: {"n":4').cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
    world.last.open({ at: "42" }).event(43).event(44);
    await settle();
    expect(got).toEqual([
      ["42", { n: 42 }],
      ["43", { n: 43 }],
      ["44", { n: 44 }],
    ]);
  });

  it("drops events that the next stream repeats", async () => {
    const client = await connected();
    const ids: string[] = [];
    client.on("*", (_, { id }) => ids.push(id));
    world.last.event(42).event(43).cut();
    await world.nextRequest();
    world.last.open({ at: "41" }).event(42).event(43).event(44);
    await settle();
    expect(ids).toEqual(["42", "43", "44"]);
    expect(client.lastEventId).toBe("44");
  });

  it("makes attempts at growing random intervals, up to 30.1 s", async () => {
    world.onRequest = (exchange) => exchange.refuse();
    await connect();
    for (let attempt = 0; attempt < 40; attempt++) {
      await world.nextRequest();
    }
    const { pauses } = world;
    const bounds = pauses.map((_, attempt) => 100 + Math.min(30_000, 1_400 * 2 ** attempt));
    expect(pauses.every((ms, attempt) => ms >= 100 && ms <= (bounds[attempt] ?? 0))).toBe(true);
    expect(Math.max(...pauses)).toBeGreaterThan(20_000);
  });

  it("makes them at different times than another client", async () => {
    const other = new ClientWorld(2);
    for (const each of [world, other]) {
      each.onRequest = (exchange) => exchange.refuse();
      new SSEClient({}, each.environment).connect();
      await each.nextRequest();
      await each.nextRequest();
    }
    expect(world.pauses).not.toEqual(other.pauses);
  });

  it("spreads its first attempt over 1.5 s: of a thousand clients, at most 10 % come in any 100 ms", async () => {
    const worlds = Array.from({ length: 1_000 }, (_, index) => new ClientWorld(7_919 * (index + 1)));
    for (const each of worlds) {
      new SSEClient({}, each.environment).connect();
    }
    await settle();
    for (const each of worlds) {
      each.last.open();
    }
    await settle();
    for (const each of worlds) {
      each.last.cut();
    }
    await Promise.all(worlds.map((each) => each.advance(1_500)));
    const slots = new Map<number, number>();
    for (const each of worlds) {
      const slot = Math.floor((each.pauses[0] ?? Number.NaN) / 100);
      slots.set(slot, (slots.get(slot) ?? 0) + 1);
    }
    expect(worlds.every(({ exchanges }) => exchanges.length === 2)).toBe(true);
    expect(Math.max(...slots.values())).toBeLessThanOrEqual(100);
  });

  it("starts again with short delays after a stream of 10 s, and not before", async () => {
    await connect();
    for (let attempt = 0; attempt < 8; attempt++) {
      world.last.refuse();
      await world.nextRequest();
    }
    world.last.open();
    await world.advance(9_900);
    world.last.cut();
    const delays: number[] = [];
    for (let attempt = 0; attempt < 6; attempt++) {
      delays.push(await pause());
      world.last.refuse();
    }
    expect(Math.max(...delays)).toBeGreaterThan(1_500);

    await world.nextRequest();
    world.last.open();
    await world.advance(10_100);
    world.last.cut();
    expect(await pause()).toBeLessThanOrEqual(1_500);
  });

  it("ignores `retry:`", async () => {
    await connected();
    world.last.bytes("retry: 60000\n\n").cut();
    expect(await pause()).toBeLessThanOrEqual(1_500);
  });
});

describe("a delay that the service asks for", () => {
  it("in a `close` event replaces the next delay, once", async () => {
    await connected();
    world.last.close("shutdown", 7_300);
    expect(await pause()).toBeCloseTo(7_300);
    world.last.refuse();
    expect(await pause()).toBeLessThanOrEqual(2_900);
  });

  it("in a `close` event ends the stream, even if the connection stays open", async () => {
    const client = await connected();
    const ids: string[] = [];
    client.on("*", (_, { id }) => ids.push(id));
    const stream = world.last.event(42).close("max_age", 500).event(43);
    await settle();
    expect(client.state).toBe("reconnecting");
    expect(stream.isAborted).toBe(true);
    expect(ids).toEqual(["42"]);
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
  });

  it.each([429, 503])("in a Retry-After of %i counts, plus up to 20 %%", async (status) => {
    await connect();
    world.last.problem(status, "limit", { "Retry-After": "5" });
    const first = await pause();
    world.last.problem(status, "limit", { "Retry-After": "5" });
    const second = await pause();
    for (const ms of [first, second]) {
      expect(ms).toBeGreaterThanOrEqual(5_000);
      expect(ms).toBeLessThanOrEqual(6_000);
    }
    expect(first).not.toBe(second);
  });

  it("in a Retry-After with a date counts by the clock of the service", async () => {
    await connect();
    world.clock.epoch += 86_400_000;
    const headers = {
      Date: "Sun, 22 Nov 2026 12:00:00 GMT",
      "Retry-After": "Sun, 22 Nov 2026 12:00:20 GMT",
    };
    world.last.problem(503, "draining", headers);
    const ms = await pause();
    expect(ms).toBeGreaterThanOrEqual(20_000);
    expect(ms).toBeLessThanOrEqual(24_000);
  });

  it.each([["0"], ["soon"], ["-5"], ["Sun, 22 Nov 2026 11:00:00 GMT"]])(
    "in a Retry-After of %s is ignored, and the usual growing delays apply",
    async (value) => {
      world.onRequest = (exchange) => exchange.problem(503, "limit", { "Retry-After": value });
      await connect();
      await world.advance(60_000);
      expect(world.exchanges.length).toBeLessThan(20);
      expect(Math.min(...world.pauses)).toBeGreaterThanOrEqual(100);
    },
  );

  it.each([0, 99, -1, Number.NaN])(
    "in a `close` of %f ms is ignored, and the usual growing delays apply",
    async (ms) => {
      world.onRequest = (exchange) => exchange.open().close("max_age", ms);
      await connect();
      await world.advance(60_000);
      expect(world.exchanges.length).toBeLessThan(20);
      expect(Math.min(...world.pauses)).toBeGreaterThanOrEqual(100);
    },
  );

  it("is obeyed up to one day", async () => {
    await connected();
    world.last.close("shutdown", 1e300);
    await world.advance(86_399_999);
    expect(world.exchanges).toHaveLength(1);
    await world.advance(2);
    expect(world.exchanges).toHaveLength(2);
  });

  it("is ignored with `kicked`, which stops the client", async () => {
    const client = await connected();
    const problems: unknown[] = [];
    client.onError(({ code, final }) => problems.push([code, final]));
    world.last.close("kicked", 5_000);
    await world.advance(600_000);
    expect(problems).toEqual([["kicked", true]]);
    expect(client.state).toBe("disconnected");
    expect(world.exchanges).toHaveLength(1);
  });

  it("on a busy stream (200 and `close` at once) is obeyed, and the client never becomes connected", async () => {
    const client = await connect({ url: "/api/events?on_busy=stream" });
    const states: string[] = [];
    client.onStateChange((state) => states.push(state));
    world.last.accept().close("limit", 8_000);
    expect(await pause()).toBeCloseTo(8_000);
    expect(states).toEqual(["reconnecting"]);
  });
});

describe("the watchdog", () => {
  it("reconnects after a silence of 2.5 to 3 heartbeat intervals, random for each client", async () => {
    const times = await Promise.all([1, 2, 3, 4, 5].map((seed) => bark(seed, 10)));
    expect(times.every((ms) => ms >= 25_000 && ms <= 30_000)).toBe(true);
    expect(new Set(times).size).toBe(5);
  });

  it("uses the heartbeat interval of the service", async () => {
    expect(await bark(1, 1)).toBeLessThanOrEqual(3_000);
    expect(await bark(1, 60)).toBeGreaterThanOrEqual(150_000);
  });

  it.each([0, -1, Number.NaN, 1e9])("uses 30 s if the service names the interval %f", async (seconds) => {
    const ms = await bark(1, seconds);
    expect(ms).toBeGreaterThanOrEqual(75_000);
    expect(ms).toBeLessThanOrEqual(90_000);
  });

  it("accepts any bytes as a sign of life: heartbeats, events, half a frame", async () => {
    const client = await connected();
    for (const bytes of [
      ": heartbeat\n\n",
      "event: tick\nid: 42\nda",
      "ta: 1\n\n",
      ": heartbeat\nid: 43\n\n",
    ]) {
      await world.advance(70_000);
      world.last.bytes(bytes);
    }
    await settle();
    expect(client.state).toBe("connected");
    expect(world.exchanges).toHaveLength(1);
  });

  it("aborts the silent stream, and resumes", async () => {
    await connected();
    const silent = world.last.event(42);
    await world.nextRequest();
    expect(silent.isAborted).toBe(true);
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
  });

  it("ends a stream whose `fetch` ignores signals", async () => {
    world.obeysSignal = false;
    const client = await connected();
    await world.nextRequest();
    expect(client.state).toBe("reconnecting");
  });

  it("can be turned off", async () => {
    expect(await bark(1, 1, { watchdog: false })).toBeNaN();
  });
});

describe("a gap", () => {
  it("moves the id to the first stored event", async () => {
    const client = await connected({ lastEventId: "7", log: "log-a" });
    const got: unknown[] = [];
    client.on("gap", (data, { id }) => got.push([data, id]));
    client.on("*", (_, { id }) => got.push(id));
    client.disconnect();
    client.connect();
    await settle();
    world.last
      .open({ gap: true })
      .frame({ event: "gap", id: 120, data: gap("expired", "7") })
      .event(121);
    await settle();
    expect(got).toEqual([[expect.objectContaining({ reason: "expired" }), "120"], "121"]);
  });

  it("is sent again if the stream was cut before it, because id and log move together", async () => {
    const client = await connect({ lastEventId: "700", log: "log-old" });
    world.last.open({ gap: true, log: "log-new" }).cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("700");
    expect(world.last.query).toEqual({ log: "log-old" });
    expect(client.log).toBe("log-old");
  });

  it("of another log moves the id back, and the events that follow are not duplicates", async () => {
    const client = await connect({ lastEventId: "700", log: "log-old" });
    const ids: string[] = [];
    client.on("*", (_, { id }) => ids.push(id));
    world.last
      .open({ gap: true, log: "log-new" })
      .frame({ event: "gap", id: 2, data: gap("unknown", "700") })
      .event(3)
      .event(4);
    await settle();
    expect(ids).toEqual(["3", "4"]);
    world.last.cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("4");
    expect(world.last.query).toEqual({ log: "log-new" });
  });

  it("of the same log moves back an id that the log never had", async () => {
    const client = await connect({ lastEventId: "5000", log: "log-a" });
    world.last
      .open({ gap: true })
      .frame({ event: "gap", id: 900, data: gap("unknown", "5000") })
      .event(901);
    await settle();
    expect(client.lastEventId).toBe("901");
  });

  it("in the middle of a stream reaches its listeners too", async () => {
    const client = await connected();
    const reasons: string[] = [];
    client.on("gap", ({ reason }) => reasons.push(reason));
    world.last.event(42).frame({ event: "gap", id: 120, data: gap("expired", "42") });
    await settle();
    expect(reasons).toEqual(["expired"]);
    expect(client.lastEventId).toBe("120");
  });

  it("of another log in the middle of a stream moves the id back, and the next connect names the new log", async () => {
    const client = await connected();
    const ids: string[] = [];
    client.on("*", (_, { id }) => ids.push(id));
    world.last
      .event(42)
      .open({ gap: true, log: "log-new", at: "0" })
      .frame({ event: "gap", id: 0, data: gap("unknown", "42") })
      .event(1)
      .event(2);
    await settle();
    expect(ids).toEqual(["42", "1", "2"]);
    world.last.cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("2");
    expect(world.last.query).toEqual({ log: "log-new" });
  });

  it("of another log in the middle of a stream is sent again if the stream was cut before it", async () => {
    await connected();
    world.last.event(42).open({ gap: true, log: "log-new", at: "0" }).cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
    expect(world.last.query).toEqual({ log: "log-a" });
  });
});
