import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import { inSeconds, jwtSecret, tokenOf } from "../../support/jwt.ts";
import { problemOf } from "../../support/problem.ts";
import type { RawRequest, RawStream } from "../../support/raw-stream.ts";
import { CONTINENTS, from, openMany, relaysOf, startRelayed } from "../../support/relays.ts";
import { makeDataDir, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const retryAfterSeconds = 1;

let service: Service;

beforeAll(async () => {
  service = await startRelayed({ sse: { heartbeat_interval_seconds: 60 } });
});

afterAll(() => service.stop());

interface Close {
  readonly reason: string;
  readonly retry_after_ms: number;
}

function closeOf(stream: RawStream): Close {
  const event = stream.events.at(-1);
  expect(event?.type).toBe("close");
  expect(event?.id).toBe(undefined);
  return JSON.parse(event?.data ?? "") as Close;
}

/** Waits for the end of each stream, and says how each was told of it. */
async function closesOf(streams: readonly RawStream[], timeoutMs = 5_000): Promise<Close[]> {
  await Promise.all(streams.map((stream) => stream.untilClosed(timeoutMs)));
  expect(streams.map(({ complete }) => complete)).toEqual(streams.map(() => true));
  return streams.map(closeOf);
}

/** Spread, so that the clients do not all come back at once. */
function expectJitter(streams: readonly RawStream[], closes: readonly Close[]): void {
  for (const [n, { retry_after_ms: ms }] of closes.entries()) {
    expect(ms).toBeGreaterThanOrEqual(retryAfterSeconds * 1_000);
    expect(ms).toBeLessThanOrEqual(retryAfterSeconds * 2_000);
    expect(streams[n]?.text).toMatch(new RegExp(`^retry: ${ms}$`, "m"));
  }
  expect(new Set(closes.map(({ retry_after_ms: ms }) => ms)).size).toBeGreaterThan(closes.length / 2);
}

async function post(path: string): Promise<Record<string, unknown>> {
  const answer = await service.admin(path, { method: "POST" });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

async function refusals(channel: string): Promise<{ status: number; code: string }[]> {
  return Promise.all(
    CONTINENTS.map(async (continent) => {
      const stream = await service.raw(`/api/events?channel=${channel}`, from(continent));
      await stream.untilClosed();
      const { status, code } = await problemOf(stream);
      return { status, code };
    }),
  );
}

describe.skipIf(isExcepted("relays in one process"))("Draining relays", () => {
  it("ends every stream, counts them, refuses everybody everywhere, and publishing goes on", async () => {
    const channel = "drained";
    const streams = [
      ...(await openMany(service, 15, { channel }, from("EU"))),
      ...(await openMany(service, 10, { channel }, from("NA"))),
    ];
    const [other] = await openMany(service, 1, { channel: "other" });
    await service.publish({ type: "tick", data: 1 }, channel);
    await Promise.all(streams.map((stream) => stream.nextEvent({ type: "tick" })));
    expect(await post(`/api/admin/drain?channel=${channel}`)).toMatchObject({ channels: 1, closed: 25 });
    const closes = await closesOf(streams);
    expect(closes.map(({ reason }) => reason)).toEqual(streams.map(() => "drain"));
    expectJitter(streams, closes);
    expect(other?.closed).toBe(false);

    expect(await refusals(channel)).toEqual(CONTINENTS.map(() => ({ status: 503, code: "draining" })));
    const busy = await service.stream({ channel, on_busy: "stream" }, from("AS"));
    await busy.untilClosed();
    expect(busy.events.map(({ type }) => type)).toEqual(["close"]);
    expect(closeOf(busy)).toMatchObject({ reason: "drain" });
    expect((await service.publish({ type: "tick", data: 2 }, channel)).events[0]?.id).toBe("2");
    expect(await service.health(channel)).toMatchObject({
      status: "draining",
      sse: { active_connections: 0, last_event_id: "2" },
    });

    await post(`/api/admin/resume?channel=${channel}`);
    const back = await until(
      async () => {
        const stream = await service.raw(
          `/api/events?channel=${channel}&last_event_id=${streams[0]?.lastEventId}`,
          from("EU"),
        );
        return stream.status === 200 && stream;
      },
      { what: "a stream after resume" },
    );
    expect(await back.nextEvent({ type: "tick" })).toMatchObject({ id: "2" });
    expect(await openMany(service, 24, { channel }, from("NA"))).toHaveLength(24);
  });

  it("lets clients in by itself when its time is over", async () => {
    const channel = "timed";
    const streams = await openMany(service, 12, { channel });
    const drained = performance.now();
    await post(`/api/admin/drain?channel=${channel}&for_seconds=2`);
    await closesOf(streams);
    const status = async (): Promise<number> => (await service.raw(`/api/events?channel=${channel}`)).status;
    expect(await status()).toBe(503);
    await until(async () => (await status()) === 200, { what: "the end of the drain" });
    expect(performance.now() - drained).toBeGreaterThan(1_900);
    expect(performance.now() - drained).toBeLessThan(4_000);
  });

  it("ends the clients of all channels, and counts them", async () => {
    const channels = ["all-1", "all-2", "all-3"];
    const streams = (await Promise.all(channels.map((channel) => openMany(service, 11, { channel })))).flat();
    const { closed } = await post("/api/admin/drain");
    expect(closed).toBeGreaterThanOrEqual(33);
    expect((await closesOf(streams)).map(({ reason }) => reason)).toEqual(streams.map(() => "drain"));
    for (const channel of channels) {
      expect(await refusals(channel)).toEqual(CONTINENTS.map(() => ({ status: 503, code: "draining" })));
    }
    await post("/api/admin/resume");
    for (const channel of channels) {
      await until(async () => (await service.raw(`/api/events?channel=${channel}`)).status === 200, {
        what: "a stream after resume",
      });
    }
  });
});

describe.skipIf(isExcepted("relays in one process"))("Stopping relays", () => {
  it("tells every client of every relay, within 5 seconds, though one never reads, and loses nothing", async () => {
    const dataDir = await makeDataDir();
    let mortal = await startRelayed({}, { dataDir: dataDir.path });
    try {
      const streams = [
        ...(await openMany(mortal, 25, { channel: "first", types: "small" })),
        ...(await openMany(mortal, 12, { channel: "second", types: "small" }, from("EU"))),
      ];
      const [stalled] = await openMany(mortal, 1, { channel: "first" });
      stalled?.pause();
      const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
      for (let n = 0; n < 10; n++) {
        await mortal.publish(batch, "first");
      }
      const asked = performance.now();
      mortal.signal("SIGTERM");
      const late: string[] = [];
      const knocking = (async () => {
        for (let stop = false; !stop;) {
          // When nobody listens any more, the answer is an error.
          const answer = await mortal
            .fetch("/api/events?channel=second", { headers: { "Edge-Sse-Continent": "OC" } })
            .catch(() => null);
          stop = answer === null;
          if (answer?.status === 200) {
            await answer.body?.cancel();
          } else if (answer !== null) {
            late.push((await problemOf(answer)).code);
          }
        }
      })();
      const closes = await closesOf(streams);
      expect(closes.map(({ reason }) => reason)).toEqual(streams.map(() => "shutdown"));
      expectJitter(streams, closes);
      expect(await mortal.exited()).toBe(0);
      expect(performance.now() - asked).toBeLessThan(5_000);
      await knocking;
      expect(new Set(late)).toEqual(new Set(["shutting_down"]));
      expect(mortal.logs.filter(({ level }) => level === "error")).toEqual([]);

      mortal = await startRelayed({}, { dataDir: dataDir.path });
      const [back] = await openMany(mortal, 1, { channel: "first", last_event_id: "0" });
      const events = await back?.collect(300);
      expect(events?.map(({ id }) => Number(id))).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
    } finally {
      await mortal.stop();
      await dataDir.remove();
    }
  });
});

/**
 * Comes back like any client, which tries again after a refusal. When many clients come back at once, a connect can be
 * refused with `limit` although seats are free: they are still leased to the relays that the clients have left.
 */
async function resume(
  host: Service,
  query: Readonly<Record<string, string>>,
  request: RawRequest,
): Promise<RawStream> {
  for (let triesLeft = 4; ; triesLeft--) {
    try {
      return await host.stream(query, request);
    } catch (error) {
      if (triesLeft === 0 || !String(error).includes("urn:edge-sse:problem:limit")) {
        throw error;
      }
    }
    await sleep(500);
  }
}

describe.skipIf(isExcepted("relays in one process"))("Ends of single streams on relays", () => {
  let strict: Service;
  const subscribeToken = "subscribe-token-of-the-tests";

  beforeAll(async () => {
    strict = await startRelayed(
      {
        sse: { heartbeat_interval_seconds: 60 },
        auth: { subscribe: ["token", "jwt"], metrics: "public", jwt: { clock_skew_seconds: 0 } },
        limits: { max_stream_age_seconds: 4 },
      },
      { env: { SUBSCRIBE_TOKEN: subscribeToken, JWT_SECRET: jwtSecret } },
    );
  });

  afterAll(() => strict.stop());

  it("come with the end of the token that opened them, on each relay", async () => {
    const end = inSeconds(3) * 1_000;
    const token = await tokenOf({ edge_sse: { subscribe: {} }, exp: inSeconds(3) });
    const streams = await openMany(
      strict,
      13,
      { channel: "token" },
      { headers: { Authorization: `Bearer ${token}` } },
    );
    const closes = await closesOf(streams, 8_000);
    expect(Object.keys(await relaysOf(strict, "token")).length).toBeGreaterThan(1);
    expect(closes.map(({ reason }) => reason)).toEqual(streams.map(() => "token_expired"));
    const ends = streams.map(({ lastByteAt }) => performance.timeOrigin + lastByteAt);
    expect(Math.min(...ends)).toBeGreaterThanOrEqual(end - 1_000);
    expect(Math.max(...ends)).toBeLessThan(end + 2_500);
  });

  it("come with their age, within its last fifth, and each client resumes whole", async () => {
    const headers = { Authorization: `Bearer ${subscribeToken}` };
    const streams = await openMany(strict, 25, { channel: "age" }, { headers });
    const publishing = new AbortController();
    const published = (async () => {
      let count = 0;
      while (!publishing.signal.aborted) {
        await strict.publish({ type: "tick", data: ++count }, "age");
      }
      return count;
    })();
    const closes = await closesOf(streams, 8_000);
    expect(closes.map(({ reason }) => reason)).toEqual(streams.map(() => "max_age"));
    const ages = streams.map(({ events }) => (events.at(-1)?.at ?? 0) - (events[0]?.at ?? 0));
    expect(Math.min(...ages)).toBeGreaterThan(4_000 * 0.8 - 500);
    expect(Math.max(...ages)).toBeLessThan(4_000 + 1_000);
    const resumed = await Promise.all(
      streams.map(({ lastEventId }) =>
        resume(strict, { channel: "age", last_event_id: lastEventId }, { headers }),
      ),
    );
    publishing.abort();
    const count = await published;
    for (const [n, stream] of resumed.entries()) {
      await until(() => stream.lastEventId === String(count), { what: `event ${count}` });
      const ids = [...(streams[n]?.events ?? []), ...stream.events]
        .filter(({ type }) => type === "tick")
        .map(({ id }) => Number(id));
      const [first = 1] = ids;
      expect(ids).toEqual(Array.from({ length: count - first + 1 }, (_, index) => first + index));
    }
  });

  it("tickets open one stream each, on any relay", async () => {
    const buy = async (): Promise<string> => {
      const answer = await strict.fetch("/api/tickets", {
        method: "POST",
        headers: { Authorization: `Bearer ${subscribeToken}` },
      });
      return ((await answer.json()) as { ticket: string }).ticket;
    };
    const tickets = await Promise.all(Array.from({ length: 15 }, buy));
    const streams = await Promise.all(
      tickets.map((ticket, n) =>
        strict.stream({ channel: "tickets", ticket }, from(CONTINENTS[n % 3] ?? "EU")),
      ),
    );
    await strict.publish({ type: "tick", data: 1 }, "tickets");
    const events = await Promise.all(streams.map((stream) => stream.nextEvent({ type: "tick" })));
    expect(events.map(({ id }) => id)).toEqual(Array(15).fill("1"));
    const again = await strict.raw(`/api/events?channel=tickets&ticket=${tickets[0]}`);
    expect(again.status).toBe(401);
  });
});
