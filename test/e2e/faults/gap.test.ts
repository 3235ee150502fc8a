import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../../support/native.ts";
import type { ReceivedEvent } from "../../support/raw-stream.ts";
import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { sse: { retry_after_seconds: 1 }, channels: { allowed: ["*"] } } });
  await service.publish(
    [1, 2, 3].map((data) => ({ type: "tick", data })),
    "three",
  );
});

afterAll(() => service.stop());

const json = (event: ReceivedEvent): Record<string, unknown> =>
  JSON.parse(event.data) as Record<string, unknown>;

describe("The stream: gap, for an id that this log does not know", () => {
  it.each([
    ["a number of 10,000 digits", "1".repeat(10_000)],
    ["the head after 10,000 zeros", `${"0".repeat(10_000)}3`],
    ["digits of another script", "\u0663"],
    ["an unpaired quote and a line end, percent-encoded", '"%0A'],
  ])("says unknown and goes on from the oldest: %s", async (_what, id) => {
    const gap = { requested_id: id.slice(0, 64), oldest_id: "1", latest_id: "3", reason: "unknown" };
    for (const name of ["last_event_id", "lastEventId"]) {
      const stream = await service.stream({ channel: "three", [name]: id });
      expect(await stream.nextEvent()).toMatchObject({ type: "connected", id: undefined });
      const told = await stream.nextEvent();
      expect([told.type, told.id, json(told)]).toEqual(["gap", "0", gap]);
      expect((await stream.collect(3)).map((event) => event.id)).toEqual(["1", "2", "3"]);
      stream.reset();
    }
    const history = await service.fetch(
      `/api/history?${new URLSearchParams({ channel: "three", after: id })}`,
    );
    expect(await history.json()).toMatchObject({ events: [{ id: "1" }, { id: "2" }, { id: "3" }], gap });
  });

  it("is sent once: a client that comes back with the id of the gap gets no other", async () => {
    for (const query of [{ channel: "three", types: "none" }, { channel: "nothing" }]) {
      const first = await service.stream({ ...query, last_event_id: "77" });
      const gap = await first.nextEvent({ type: "gap" });
      first.reset();
      const log = String(json(first.events[0] ?? gap)["log"]);
      for (const more of [{}, { log }]) {
        const second = await service.stream({ ...query, ...more, last_event_id: first.lastEventId });
        expect(await second.nextEvent()).toMatchObject({ type: "connected", id: gap.id });
        expect(second.events).toHaveLength(1);
        second.reset();
      }
    }
  });

  it("is recognised as an id of another log even if it is small, and the client then continues in the new log", async () => {
    const first = await service.stream({ channel: "three", last_event_id: "1", log: "another" });
    const connected = await first.nextEvent();
    expect(connected).toMatchObject({ type: "connected", id: undefined });
    expect(json(await first.nextEvent())).toEqual({
      requested_id: "1",
      oldest_id: "1",
      latest_id: "3",
      reason: "unknown",
    });
    expect((await first.collect(3)).map((event) => event.id)).toEqual(["1", "2", "3"]);
    const log = String(json(connected)["log"]);
    const second = await service.stream({ channel: "three", last_event_id: first.lastEventId, log });
    expect(await second.nextEvent()).toMatchObject({ type: "connected", id: "3" });
    const history = await service.fetch("/api/history?channel=three&after=1&log=another");
    expect(await history.json()).toMatchObject({ events: [{ id: "1" }, {}, {}], gap: { reason: "unknown" } });
  });
});

describe.concurrent("The stream: gap, and a native EventSource", () => {
  it.each([
    ["with events that it sees", "native-all", "tick"],
    ["whose filter hides all that is kept", "native-none", "none"],
    ["in a channel without any event", "native-empty", ""],
  ])("is not sent again when it reconnects by itself (%s)", async (_what, channel, types) => {
    if (channel !== "native-empty") {
      await service.publish(
        [1, 2].map((data) => ({ type: "tick", data })),
        channel,
      );
    }
    const url = `${service.url}/api/events?channel=${channel}&types=${types}&last_event_id=77&on_busy=stream`;
    const client = openNative(url, ["connected", "gap", "tick"]);
    const seen = (type: string) => client.events.filter((event) => event.type === type);
    try {
      await until(() => seen("gap").length > 0, { what: "the gap" });
      if (types === "tick") {
        await until(() => seen("tick").length === 2, { what: "both events" });
      }
      const { client_id } = JSON.parse(seen("connected").at(-1)?.data ?? "") as { client_id: string };
      const path = `/api/admin/clients/${client_id}?channel=${channel}`;
      expect((await service.admin(path, { method: "DELETE" })).ok).toBe(true);
      await until(() => seen("connected").length === 2, { what: "connection 2" });
      await service.publish({ type: types === "none" ? "none" : "tick", data: 3 }, channel);
      if (types !== "none") {
        await until(() => seen("tick").at(-1)?.data === "3", { what: "the live event" });
      }
      expect(
        seen("gap").map(({ id, data }) => [id, (JSON.parse(data) as { reason: string }).reason]),
      ).toEqual([["0", "unknown"]]);
      expect(seen("tick").map(({ data }) => data)).toEqual(
        types === "tick" ? ["1", "2", "3"] : types === "none" ? [] : ["3"],
      );
    } finally {
      client.close();
    }
  });
});

describe.concurrent("The stream: gap, in mid-stream", () => {
  it("is sent once to a client that stopped reading, and names exactly the events that it missed", async () => {
    const small = await startService({
      config: { history: { max_age_seconds: 2 }, sse: { connection_timeout_seconds: 20 } },
    });
    try {
      const stream = await small.stream();
      await stream.nextEvent();
      stream.pause();
      // More than the sockets on the way hold.
      const batch = Array.from({ length: 16 }, () => ({ type: "big", data: "x".repeat(60 * 1024) }));
      for (let n = 0; n < 16; n++) {
        await small.publish(batch);
      }
      const kept = async (): Promise<string | null> =>
        ((await (await small.fetch("/api/history?limit=1")).json()) as { oldest_id: string | null })
          .oldest_id;
      await until(async () => (await kept()) === null, { what: "all to be too old" });
      await small.publish({ type: "young", data: 1 });
      stream.resume();
      const young = await stream.nextEvent({ type: "young" });
      expect(young.id).toBe("257");
      const gaps = stream.events.filter(({ type }) => type === "gap");
      expect(gaps).toHaveLength(1);
      const before = stream.events.filter(({ type }) => type === "big").map(({ id }) => Number(id));
      expect(before).toEqual(Array.from({ length: before.length }, (_, n) => n + 1));
      expect(before.length).toBeGreaterThan(0);
      expect(before.length).toBeLessThan(256);
      expect(gaps[0]).toMatchObject({ id: "256" });
      expect(json(gaps[0] ?? young)).toMatchObject({
        requested_id: String(before.length),
        oldest_id: "257",
        reason: "expired",
      });
      stream.reset();
      const back = await small.stream({ last_event_id: "256" });
      expect(await back.nextEvent()).toMatchObject({ type: "connected", id: "256" });
    } finally {
      await small.stop();
    }
  });
});
