import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";

import { objectSql } from "../../src/edge/object-sql.ts";
import { SqlLog } from "../../src/sql/sql-log.ts";
import type { HubError } from "../../src/hub/errors.ts";
import type { ConnectRequest } from "../../src/hub/audience/audience.ts";
import { hubOf, hubPortOf, newChannel, openStream, OpenStream, publish, send, tick } from "./service.ts";

const SECOND = 1_000;
const MINUTE = 60_000;

/** Asks for a stream with a token that has ended. */
const ENDED: ConnectRequest = {
  terms: {},
  start: { lastEventId: null, logName: null, since: null },
  address: null,
  endsAt: 0,
};

/** Tables, keys and alarm of an object. */
function storedIn(channel: string): Promise<{ tables: string[]; keys: string[]; alarm: number | null }> {
  return runInDurableObject(hubOf(channel), async (_hub, { storage }) => ({
    tables: storage.sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
      .toArray()
      .map(({ name }) => name),
    keys: [...storage.kv.list()].map(([key]) => key),
    alarm: await storage.getAlarm(),
  }));
}

/** What time it is to the object; its alarm is run by hand. */
function setTime(now: number): void {
  vi.useFakeTimers({ now, toFake: ["Date"] });
}

function startDrain(channel: string, seconds: number): Promise<Response> {
  return send(`/api/admin/drain?channel=${channel}&for_seconds=${seconds}`, {
    method: "POST",
    headers: { Authorization: "Bearer admin" },
  });
}

afterEach(() => {
  vi.useRealTimers();
});

describe("an object", () => {
  it("that was only asked for its health has no table, no key and no alarm", async () => {
    const channel = newChannel();
    const response = await send(`/health?channel=${channel}`);
    expect(await response.json()).toMatchObject({
      status: "healthy",
      sse: { active_connections: 0, last_event_id: "0" },
    });
    await send(`/api/history?channel=${channel}`);
    await send(`/metrics?channel=${channel}`);
    await hubPortOf(channel).clients({ after: "", limit: 100 });
    expect(await storedIn(channel)).toEqual({ tables: [], keys: [], alarm: null });
  });

  it("whose request was refused has none either", async () => {
    const channel = newChannel();
    expect((await send(`/api/publish?channel=${channel}`, { method: "POST" })).status).toBe(401);
    expect((await send(`/api/events?channel=${channel}&typo=1`)).status).toBe(400);
    expect((await send(`/api/events?channel=${channel}`, { method: "HEAD" })).status).toBe(200);
    expect(await storedIn(channel)).toEqual({ tables: [], keys: [], alarm: null });
  });

  it("knows its channel, also when it is woken again", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    await evictDurableObject(hubOf(channel));
    const stream = await openStream(channel);
    expect(stream.dataOf("connected")).toMatchObject({ channel, last_event_id: "1" });
    await stream.leave();
  });
});

describe("an eviction", () => {
  it("loses no event and no id, and the log keeps its name", async () => {
    const channel = newChannel();
    await publish(channel, tick(1), tick(2));
    const before = await openStream(channel, "&last_event_id=0");
    await before.until(({ ids }) => ids.length === 2);
    await before.leave();
    await evictDurableObject(hubOf(channel));
    expect(await publish(channel, tick(3))).toMatchObject({ events: [{ id: "3" }] });
    const after = await openStream(channel, "&last_event_id=1");
    await after.until(({ ids }) => ids.length === 2);
    expect(after.ids).toEqual([2, 3]);
    expect(after.dataOf("connected")["log"]).toBe(before.dataOf("connected")["log"]);
    await after.leave();
  });

  it("does not make a filter by ids forget them: a replay from the storage is filtered as live events are", async () => {
    const channel = newChannel();
    const events = [7, 8, null].flatMap((id) => [
      { type: "tick", data: {}, project_id: id },
      { type: "tick", data: { agent_id: id } },
    ]);
    await publish(channel, ...events);
    await evictDurableObject(hubOf(channel));
    const streams = await Promise.all(
      ["&project_id=7", "&agent_id=8", "&project_id=7,8&types=t*"].map((filter) =>
        openStream(channel, `&since=earliest${filter}`),
      ),
    );
    await publish(channel, { type: "tick", data: { agent_id: 8 }, project_id: "7" });
    for (const stream of streams) {
      await stream.until(({ ids }) => ids.at(-1) === 7);
    }
    expect(streams.map(({ ids }) => ids)).toEqual([
      [1, 7],
      [4, 7],
      [1, 3, 7],
    ]);
    await Promise.all(streams.map((stream) => stream.leave()));
  });

  it("of an object whose log was trimmed to nothing does not restart its ids", async () => {
    const channel = newChannel();
    await publish(channel, tick(), tick(), tick());
    await runInDurableObject(hubOf(channel), (_hub, { storage }) => new SqlLog(objectSql(storage)).trim(3));
    await evictDurableObject(hubOf(channel));
    const health = await hubPortOf(channel).health();
    expect([health.lastEventId, health.oldestEventId]).toEqual([3, null]);
    expect(await publish(channel, tick())).toMatchObject({ events: [{ id: "4" }] });
  });

  it("loses no idempotency key", async () => {
    const channel = newChannel();
    const event = { type: "tick", data: { n: 1 }, key: "once" };
    await publish(channel, event);
    await evictDurableObject(hubOf(channel));
    expect((await publish(channel, event)).events).toEqual([{ id: "1", type: "tick", duplicate: true }]);
    expect((await publish(channel, { ...event, data: 2 })).events).toEqual([
      { id: "1", type: "tick", duplicate: true, conflict: true },
    ]);
  });

  it("by force loses no acknowledged event", async () => {
    const channel = newChannel();
    await publish(channel, tick(1));
    const aborted = runInDurableObject(hubOf(channel), (_hub, state) =>
      state.abort("as if the machine failed"),
    );
    await expect(aborted).rejects.toThrow("as if the machine failed");
    await publish(channel, tick(2));
    const stream = await openStream(channel, "&since=earliest");
    await stream.until(({ ids }) => ids.length === 2);
    expect(stream.ids).toEqual([1, 2]);
    await stream.leave();
  });
});

describe("the alarm", () => {
  it("sends heartbeats to idle clients, with the cursor where the filter has hidden events", async () => {
    const channel = newChannel();
    const [all, none] = [await openStream(channel), await openStream(channel, "&types=other")];
    await publish(channel, tick());
    await all.until(({ ids }) => ids.length === 1);
    setTime(Date.now() + 31 * SECOND);
    expect(await runDurableObjectAlarm(hubOf(channel))).toBe(true);
    await all.until(({ comments }) => comments.length === 1);
    await none.until(({ comments }) => comments.length === 1);
    expect([all.comments, none.comments]).toEqual([["heartbeat"], ["heartbeat"]]);
    expect([all.lastEventId, none.lastEventId]).toEqual(["1", "1"]);
    expect((await storedIn(channel)).alarm).not.toBeNull();
    await Promise.all([all.leave(), none.leave()]);
  });

  it("that rings early sends none, and is set again", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    expect(await runDurableObjectAlarm(hubOf(channel))).toBe(true);
    const { alarm } = await storedIn(channel);
    expect(alarm ?? 0).toBeGreaterThan(Date.now() + 20 * SECOND);
    await publish(channel, tick());
    await stream.until(({ ids }) => ids.length === 1);
    expect(stream.comments).toEqual([]);
    await stream.leave();
  });

  it("is not left when the last client of an empty channel has gone", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    await stream.leave();
    expect((await hubPortOf(channel).health()).activeConnections).toBe(0);
    setTime(Date.now() + 40 * SECOND);
    await runDurableObjectAlarm(hubOf(channel));
    expect((await storedIn(channel)).alarm).toBeNull();
    expect(await runDurableObjectAlarm(hubOf(channel))).toBe(false);
  });

  it("trims events that are too old, and is then not set again", async () => {
    const channel = newChannel();
    await publish(channel, tick(), tick());
    setTime(Date.now() + 86_400 * SECOND + 10 * SECOND);
    expect(await runDurableObjectAlarm(hubOf(channel))).toBe(true);
    const { alarm } = await storedIn(channel);
    expect(alarm).toBeNull();
    const rows = await runInDurableObject(hubOf(channel), (_hub, { storage }) =>
      storage.sql.exec("SELECT count(*) AS left FROM events").one(),
    );
    expect(rows).toEqual({ left: 0 });
    expect(await publish(channel, tick())).toMatchObject({ events: [{ id: "3" }] });
  });

  it("that was set before an eviction is not postponed by later work", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    const soon = Date.now() + 20 * SECOND;
    await runInDurableObject(hubOf(channel), (_hub, { storage }) => storage.setAlarm(soon));
    await evictDurableObject(hubOf(channel));
    await publish(channel, tick());
    const stream = await openStream(channel);
    expect((await storedIn(channel)).alarm).toBe(soon);
    await stream.leave();
  });
});

describe("a drain", () => {
  it("ends the streams with a close, and refuses new clients", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    expect(await (await startDrain(channel, 60)).json()).toMatchObject({ channels: 1, closed: 1 });
    await stream.untilEnd();
    expect(stream.events.at(-1)?.type).toBe("close");
    expect(stream.dataOf("close")).toMatchObject({ reason: "drain" });
    const refused = await send(`/api/events?channel=${channel}`);
    expect([refused.status, refused.headers.get("Retry-After")]).toEqual([503, "5"]);
    expect(await refused.json()).toMatchObject({ code: "draining" });
  });

  it("survives an eviction, and ends after its time", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    await startDrain(channel, 60);
    await evictDurableObject(hubOf(channel));
    expect((await send(`/api/events?channel=${channel}`)).status).toBe(503);
    expect((await hubPortOf(channel).health()).status).toBe("draining");
    await publish(channel, tick());
    setTime(Date.now() + MINUTE - SECOND);
    expect((await send(`/api/events?channel=${channel}`)).status).toBe(503);
    setTime(Date.now() + 2 * SECOND);
    const stream = await openStream(channel);
    await stream.leave();
    await runDurableObjectAlarm(hubOf(channel));
    expect((await storedIn(channel)).keys).toEqual([]);
  });

  it("ends with a resume, also after an eviction", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    await startDrain(channel, 60);
    const resumed = await send(`/api/admin/resume?channel=${channel}`, {
      method: "POST",
      headers: { Authorization: "Bearer admin" },
    });
    expect(await resumed.json()).toEqual({ channels: 1 });
    await evictDurableObject(hubOf(channel));
    const stream = await openStream(channel);
    await stream.leave();
  });
});

describe("a stream with a token", () => {
  it("is warned of its end, and ends with it", async () => {
    const hub = hubPortOf(newChannel());
    const response = await hub.connect({ ...ENDED, endsAt: Date.now() + 200 }, "anywhere");
    expect(response.status).toBe(200);
    if (response.body === null) {
      throw new Error("a stream has a body");
    }
    const stream = await new OpenStream(response.body).untilEnd();
    expect(stream.events.map(({ type }) => type)).toEqual(["connected", "error", "close"]);
    expect(stream.dataOf("error")).toMatchObject({ error_type: "token_expiring", retryable: true });
    expect(stream.dataOf("close")).toMatchObject({ reason: "token_expired" });
    expect((await hub.health()).activeConnections).toBe(0);
    expect((await hub.counters()).counters.disconnects).toEqual({ token_expired: 1 });
  });

  it("that has ended is refused", async () => {
    const channel = newChannel();
    await expect(hubPortOf(channel).connect(ENDED, "anywhere")).rejects.toMatchObject({
      code: "token_ended",
    });
    expect(await storedIn(channel)).toEqual({ tables: [], keys: [], alarm: null });
  });
});

describe("an address", () => {
  it("has 600 connects in a minute, and is then told when the minute ends", async () => {
    const hub = hubPortOf(newChannel());
    const ask = (): Promise<Response> => hub.connect({ ...ENDED, address: "somewhere" }, "anywhere");
    for (let count = 0; count < 600; count++) {
      await expect(ask()).rejects.toMatchObject({ code: "token_ended" });
    }
    const refusal = await ask().catch((error: unknown) => error as HubError);
    const seconds = (refusal as HubError).retryAfterSeconds;
    expect(refusal).toMatchObject({ code: "rate_limited" });
    expect(seconds).toBeGreaterThan(30);
    expect(seconds).toBeLessThanOrEqual(60);
  });
});

describe("a batch", () => {
  it("with one event that cannot be stored is rolled back completely, and no client gets any of it", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    const event = { type: "tick", data: "1", isText: false, dataBytes: 1, fields: {}, key: null };
    const broken = { ...event, data: null as unknown as string };
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const publishing = runInDurableObject(hubOf(channel), (hub) =>
      hub.publish([event, broken, event], null, {}),
    );
    await expect(publishing).rejects.toThrow(/NOT NULL/);
    expect(String(log.mock.lastCall?.[0])).toContain("append_failed");
    log.mockRestore();
    expect((await hubPortOf(channel).health()).lastEventId).toBe(0);
    expect((await publish(channel, tick(1))).events).toMatchObject([{ id: "1" }]);
    await stream.until(({ ids }) => ids.length === 1);
    expect(stream.events.at(-1)).toEqual({ type: "tick", id: "1", data: '{"n":1}' });
    await stream.leave();
  });
});
