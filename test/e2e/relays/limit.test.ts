import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import { openNative } from "../../support/native.ts";
import { problemOf } from "../../support/problem.ts";
import type { RawStream } from "../../support/raw-stream.ts";
import {
  CONTINENTS,
  from,
  openMany,
  PER_RELAY,
  relaysOf,
  SEATS,
  startRelayed,
} from "../../support/relays.ts";
import type { Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

/** A client that got bytes within this time is not looked at when places are scarce. */
const QUIET_MS = 1_050;

/** A recall takes 250 ms, and so does the search for dead clients. The rest is for a busy machine. */
const FOUND_MS = 500 + 500;

let service: Service;
/** With so few relays that the last free seat is in one that was full. */
let narrow: Service;

beforeAll(async () => {
  [service, narrow] = await Promise.all([
    startRelayed({ sse: { heartbeat_interval_seconds: 60 } }),
    startRelayed({ sse: { heartbeat_interval_seconds: 60 }, relays: { max: SEATS / PER_RELAY } }),
  ]);
});

afterAll(() => Promise.all([service.stop(), narrow.stop()]));

const continentOf = (n: number): string => CONTINENTS[n % CONTINENTS.length] ?? "EU";

/** Opens streams from all continents at once, and takes every answer. */
function race(count: number, query: string): Promise<RawStream[]> {
  return Promise.all(
    Array.from({ length: count }, (_, n) => service.raw(`/api/events?${query}`, from(continentOf(n)))),
  );
}

async function connections(of: Service, channel: string): Promise<number> {
  return (await of.health(channel)).sse.active_connections;
}

/** The numbers of relays can be one second old. */
async function untilFull(of: Service, channel: string): Promise<void> {
  await until(async () => (await connections(of, channel)) === SEATS, { what: "all clients in health" });
}

/** Fills a channel, relay by relay. */
async function fill(of: Service, channel: string, continents: readonly string[]): Promise<RawStream[]> {
  const streams: RawStream[] = [];
  for (let n = 0; n < SEATS; n += PER_RELAY) {
    const request = from(continents[(n / PER_RELAY) % continents.length] ?? "EU");
    streams.push(...(await openMany(of, PER_RELAY, { channel }, request)));
  }
  expect(streams).toHaveLength(SEATS);
  return streams;
}

/** Waits until no client has got a byte for a second. */
async function untilQuiet(streams: readonly RawStream[]): Promise<void> {
  const last = Math.max(...streams.map(({ lastByteAt }) => lastByteAt));
  await until(() => performance.now() - last > QUIET_MS, { what: "a second without a byte" });
}

describe.skipIf(isExcepted("relays in one process"))("The limit over relays", () => {
  it("lets exactly N of 3N clients in that connect at once from everywhere, and never counts more", async () => {
    const counts: number[] = [];
    const connected = new AbortController();
    const watching = (async () => {
      while (!connected.signal.aborted) {
        counts.push(await connections(service, "race"));
      }
    })();
    const answers = await race(3 * SEATS, "channel=race");
    connected.abort();
    await watching;
    const refused = answers.filter(({ status }) => status !== 200);
    expect(answers.length - refused.length).toBe(SEATS);
    for (const answer of refused) {
      await answer.untilClosed();
      expect(await problemOf(answer)).toMatchObject({ status: 503, code: "limit" });
      expect(answer.headers["retry-after"]).toBe("1");
    }
    expect(Math.max(...counts)).toBeLessThanOrEqual(SEATS);
    await until(async () => (await connections(service, "race")) === SEATS, {
      what: "all clients in health",
    });
    const relays = await relaysOf(service, "race");
    expect(Object.values(relays).reduce((sum, clients) => sum + clients, 0)).toBe(SEATS);
    expect(Math.max(...Object.values(relays))).toBeLessThanOrEqual(PER_RELAY);

    // Those that are in are served, whichever relay holds them.
    await service.publish({ type: "tick", data: 1 }, "race");
    const streams = answers.filter(({ status }) => status === 200);
    const events = await Promise.all(streams.map((stream) => stream.nextEvent({ type: "tick" })));
    expect(events.map(({ id }) => id)).toEqual(Array(SEATS).fill("1"));
  });

  it("answers on_busy=stream with close (limit), and that client gets in by itself when a place is free", async () => {
    const answers = await race(2 * SEATS, "channel=busy&on_busy=stream&last_event_id=0");
    expect(answers.map(({ status }) => status)).toEqual(Array(2 * SEATS).fill(200));
    await Promise.all(answers.map((answer) => answer.nextEvent()));
    const refused = answers.filter(({ events }) => events[0]?.type === "close");
    expect(refused).toHaveLength(SEATS);
    for (const answer of refused) {
      await answer.untilClosed();
      expect(JSON.parse(answer.events[0]?.data ?? "")).toMatchObject({ reason: "limit" });
      expect(answer.lastEventId).toBe("0");
    }
    const native = openNative(`${service.url}/api/events?channel=busy&on_busy=stream`, [
      "close",
      "connected",
    ]);
    try {
      await native.collect(1);
      expect(native.events[0]?.type).toBe("close");
      answers.find(({ events }) => events[0]?.type === "connected")?.reset();
      await until(() => native.events.some(({ type }) => type === "connected"), {
        what: "connected",
        timeoutMs: 8_000,
      });
      expect(await connections(service, "busy")).toBeLessThanOrEqual(SEATS);
    } finally {
      native.close();
    }
  });

  it("gives a place that is free in one region to a client of another at once", async () => {
    const streams = await fill(service, "elsewhere", ["EU", "NA"]);
    for (const [n, continent] of ["AS", "EU", "OC", "NA", "AN"].entries()) {
      await untilQuiet(streams);
      streams[n * 7]?.reset();
      // The runtime tells a relay of the reset at once, but not before the next connect.
      await sleep(100);
      const asked = performance.now();
      const stream = await service.raw("/api/events?channel=elsewhere", from(continent));
      expect([continent, stream.status]).toEqual([continent, 200]);
      expect(performance.now() - asked).toBeLessThan(FOUND_MS);
      streams[n * 7] = stream;
      expect(await connections(service, "elsewhere")).toBeLessThanOrEqual(SEATS);
    }
    const refused = await service.raw("/api/events?channel=elsewhere", from("AF"));
    expect(refused.status).toBe(503);
  });

  it("finds a client whose connection was closed, on whichever relay it was", async () => {
    const streams = await fill(service, "dead", ["EU", "NA", "AS", "AF"]);
    for (const n of [3, 13, 23, 33]) {
      await untilQuiet(streams);
      streams[n]?.end();
      let asked = 0;
      const next = await until(
        async () => {
          asked++;
          const stream = await service.raw("/api/events?channel=dead", from("OC"));
          if (stream.status === 200) {
            return stream;
          }
          stream.reset();
          return undefined;
        },
        { what: "a free place" },
      );
      // Each refusal comes after a wait for the dead.
      expect(asked).toBeLessThanOrEqual(4);
      streams[n] = next;
    }
    expect(streams.every((stream) => !stream.closed)).toBe(true);
    await untilFull(service, "dead");
  });

  it("gives all places away again after everybody has left", async () => {
    const streams = await fill(service, "again", ["EU", "NA", "AS", "AF"]);
    await untilQuiet(streams);
    streams.forEach((stream) => stream.end());
    let entered = 0;
    await until(
      async () => {
        const answers = await race(SEATS - entered, "channel=again");
        entered += answers.filter(({ status }) => status === 200).length;
        return entered === SEATS;
      },
      { what: () => `${SEATS} clients; ${entered} got in`, timeoutMs: 6_000 },
    );
    await untilFull(service, "again");
    expect((await service.raw("/api/events?channel=again", from("EU"))).status).toBe(503);
  });

  it("refuses nobody while a seat is free in a relay that was full, when there may be no more relays", async () => {
    const streams = await fill(narrow, "narrow", ["EU"]);
    expect(await relaysOf(narrow, "narrow")).toEqual({
      "europe/1": PER_RELAY,
      "europe/2": PER_RELAY,
      "europe/3": PER_RELAY,
      "europe/4": PER_RELAY,
    });
    for (const [n, continent] of ["EU", "NA", "EU", "AS"].entries()) {
      await untilQuiet(streams);
      // Fewer than a tenth of the relay: its hysteresis does not end.
      streams[n * PER_RELAY]?.reset();
      await sleep(100);
      const stream = await narrow.raw("/api/events?channel=narrow", from(continent));
      expect([n, continent, stream.status]).toEqual([n, continent, 200]);
      streams[n * PER_RELAY] = stream;
    }
    await untilFull(narrow, "narrow");
  });

  it("has the channels apart: a full one takes nothing from another", async () => {
    await fill(service, "full", ["EU", "NA"]);
    expect((await service.raw("/api/events?channel=full", from("EU"))).status).toBe(503);
    const streams = await fill(service, "apart", ["EU", "NA"]);
    expect(streams.every(({ status }) => status === 200)).toBe(true);
  });
});
