import { abortAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";

import { relayObjectName, type RelayRpc } from "../../../src/edge/objects.ts";
import { hubOf, newChannel, openStream, publishRequest, send, tick, type Published } from "../service.ts";
import { Follower } from "./follower.ts";

/** The most clients of a channel here, and of one relay. */
const SEATS = 20;
const PER_RELAY = 10;

/** How long a client may be away after its relay or its hub has died. */
const BACK = { timeout: 5_000, interval: 20 };

/** How long a lease lasts at the hub. */
const LEASE_MS = 60_000;

const ABORTED = "as if the machine failed";

const followers: Follower[] = [];

afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(followers.splice(0).map((follower) => follower.stop()));
});

function relayOf(channel: string, relay: string): DurableObjectStub<RelayRpc> {
  return env.RELAY_OBJECTS.get(env.RELAY_OBJECTS.idFromName(relayObjectName(channel, relay)));
}

async function kill(object: DurableObjectStub<undefined>): Promise<void> {
  await runInDurableObject(object, (_object, state) => state.abort(ABORTED)).catch(() => undefined);
}

/** Connects clients, and waits until all of them are. */
async function follow(channel: string, count: number, continent = ""): Promise<Follower[]> {
  const joining = Array.from({ length: count }, () => new Follower(channel, { continent }));
  followers.push(...joining);
  await vi.waitFor(() => expect(joining.filter(({ isConnected }) => isConnected)).toHaveLength(count), BACK);
  return joining;
}

/** Publishes events with keys, one after another, and repeats what was not answered. Returns the last id. */
async function publishFrom(channel: string, first: number, count: number): Promise<number> {
  let last = 0;
  for (let n = first; n < first + count; n++) {
    const event = { ...tick(n), key: `key-${n}` };
    last = await vi.waitFor(async () => {
      const response = await send(`/api/publish?channel=${channel}`, publishRequest(event));
      expect(response.status).toBe(200);
      const { events } = await response.json<Published>();
      return Number(events[0]?.id);
    }, BACK);
  }
  return last;
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, n) => n + 1);

/** Each client has got every event once and in order, and was never told of a gap. */
async function expectWhole(all: readonly Follower[], last: number): Promise<void> {
  await vi.waitFor(() => expect(all.map(({ ids }) => ids.at(-1))).toEqual(all.map(() => last)), BACK);
  for (const follower of all) {
    expect(follower.ids).toEqual(upTo(last));
    expect(follower.frames).not.toContain("gap");
  }
}

interface Health {
  readonly status: string;
  readonly sse: { readonly active_connections: number; readonly reasons: readonly string[] };
}

async function healthOf(channel: string): Promise<Health> {
  return (await send(`/health?channel=${channel}`)).json<Health>();
}

describe("a hub that dies", () => {
  it("leaves the streams of its relays open, and their events go on without loss", async () => {
    const channel = newChannel();
    const all = await follow(channel, 12);
    await publishFrom(channel, 1, 20);
    await kill(hubOf(channel));
    const last = await publishFrom(channel, 21, 20);
    await expectWhole(all, last);
    expect(last).toBe(40);
    expect(all.map(({ connects }) => connects)).toEqual(all.map(() => 1));
  });

  it("again and again while events are published, takes no event and brings none twice", async () => {
    const channel = newChannel();
    const all = await follow(channel, 12);
    const publishing = publishFrom(channel, 1, 100);
    for (let deaths = 0; deaths < 5; deaths++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await kill(hubOf(channel));
    }
    const last = await publishing;
    expect(last).toBe(100);
    await expectWhole(all, last);
    expect(all.map(({ connects }) => connects)).toEqual(all.map(() => 1));
  });

  it("keeps the limit: nobody beyond it gets in while its relays live", async () => {
    const channel = newChannel();
    const all = await follow(channel, SEATS);
    await kill(hubOf(channel));
    const answers = await Promise.all(
      ["EU", "NA", "AS", "", ""].map((continent) =>
        send(`/api/events?channel=${channel}`, { headers: { "Edge-Sse-Continent": continent } }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
    await vi.waitFor(async () => expect((await healthOf(channel)).sse.active_connections).toBe(SEATS), BACK);
    await Promise.all(all.slice(0, 3).map((follower) => follower.stop()));
    expect(await follow(channel, 3, "EU")).toHaveLength(3);
  });

  it("or is away for long, is reported to the clients and by health, and heartbeats go on", async () => {
    const channel = newChannel();
    const quiet = await openStream(channel);
    const [follower] = await follow(channel, 1);
    await publishFrom(channel, 1, 1);
    await kill(hubOf(channel));
    // The next life of the hub does not answer.
    const away = runInDurableObject(hubOf(channel), (_hub, state) =>
      state.blockConcurrencyWhile(() => new Promise((resolve) => setTimeout(resolve, 8_000))),
    );
    const lost = performance.now();
    await quiet.until(({ events }) => events.some(({ type }) => type === "error"));
    expect(performance.now() - lost).toBeGreaterThan(4_500);
    expect(performance.now() - lost).toBeLessThan(7_500);
    expect(quiet.dataOf("error")).toMatchObject({ error_type: "upstream_lost", retryable: true });
    expect(quiet.comments.filter((comment) => comment === "heartbeat").length).toBeGreaterThan(2);
    await away;
    const last = await publishFrom(channel, 2, 5);
    await expectWhole([follower as Follower], last);
    expect(follower?.frames).toEqual(["connected", "error"]);
    await quiet.until(({ ids }) => ids.at(-1) === last);
    expect(quiet.ids).toEqual(upTo(last));
    await vi.waitFor(async () => expect((await healthOf(channel)).status).toBe("healthy"), BACK);
    await quiet.leave();
  });
});

describe("a relay that dies", () => {
  it("loses no event for its clients, and those of other relays notice nothing", async () => {
    const channel = newChannel();
    const first = await follow(channel, PER_RELAY);
    const second = await follow(channel, 5);
    await publishFrom(channel, 1, 10);
    const publishing = publishFrom(channel, 11, 100);
    await kill(relayOf(channel, "anywhere/1"));
    const last = await publishing;
    await expectWhole([...first, ...second], last);
    expect(second.map(({ connects }) => connects)).toEqual(second.map(() => 1));
    expect(Math.min(...first.map(({ connects }) => connects))).toBeGreaterThan(1);
  });

  it("gives its seats back: clients of another region get them", async () => {
    const channel = newChannel();
    const streams = await Promise.all(Array.from({ length: SEATS }, () => openStream(channel)));
    const refused = await send(`/api/events?channel=${channel}`, {
      headers: { "Edge-Sse-Continent": "EU" },
    });
    expect(refused.status).toBe(503);
    await kill(relayOf(channel, "anywhere/2"));
    await follow(channel, PER_RELAY, "EU");
    await vi.waitFor(async () => expect((await healthOf(channel)).sse.active_connections).toBe(SEATS), BACK);
    const beyond = await send(`/api/events?channel=${channel}`, {
      headers: { "Edge-Sse-Continent": "NA" },
    });
    expect(beyond.status).toBe(503);
    await Promise.all(streams.map((stream) => stream.leave().catch(() => undefined)));
  });

  it("again and again, brings each client back with every event once", async () => {
    const channel = newChannel();
    const all = await follow(channel, 15);
    const publishing = publishFrom(channel, 1, 100);
    for (let deaths = 0; deaths < 5; deaths++) {
      await new Promise((resolve) => setTimeout(resolve, 150));
      await kill(relayOf(channel, `anywhere/${1 + (deaths % 2)}`));
    }
    const last = await publishing;
    expect(last).toBe(100);
    await expectWhole(all, last);
  });
});

describe("hubs and relays that die in any order", () => {
  it("while events are published, lose no event and no seat", async () => {
    const channel = newChannel();
    const all = [...(await follow(channel, 13)), ...(await follow(channel, 5, "EU"))];
    const publishing = publishFrom(channel, 1, 300);
    const victims = ["hub", "anywhere/1", "hub", "europe/1", "anywhere/2", "all", "hub", "anywhere/1"];
    for (const victim of victims) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      if (victim === "all") {
        await abortAllDurableObjects();
      } else {
        await kill(victim === "hub" ? hubOf(channel) : relayOf(channel, victim));
      }
    }
    const last = await publishing;
    expect(last).toBe(300);
    await expectWhole(all, last);

    // A hub that was started again honours the lease of each relay that may still be alive.
    await Promise.all(all.map((follower) => follower.stop()));
    const realNow = Date.now.bind(Date);
    vi.spyOn(Date, "now").mockImplementation(() => realNow() + LEASE_MS);
    await follow(channel, SEATS, "NA");
    const beyond = await send(`/api/events?channel=${channel}`);
    expect(beyond.status).toBe(503);
  }, 30_000);
});
