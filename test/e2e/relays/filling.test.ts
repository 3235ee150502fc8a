import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import {
  from,
  openMany,
  PER_RELAY,
  relaysOf,
  samplesOf,
  startRelayed,
  untilRelays,
} from "../../support/relays.ts";
import type { Service } from "../../support/service.ts";

/** An empty relay closes its feed within 10 s. The rest is for an alarm of a busy machine. */
const ASLEEP_MS = 10_000 + 2_000;

/** A relay renews its lease every 10 s. */
const RENEWED_MS = 10_000 + 1_500;

let service: Service;

beforeAll(async () => {
  service = await startRelayed({ sse: { heartbeat_interval_seconds: 1 } });
});

afterAll(() => service.stop());

describe.skipIf(isExcepted("relays in one process")).concurrent("Relays", () => {
  it("fill one after another, and all sleep when everybody has left", async () => {
    const streams = await openMany(service, 25, { channel: "dense" });
    expect(await relaysOf(service, "dense")).toEqual({
      "anywhere/1": PER_RELAY,
      "anywhere/2": PER_RELAY,
      "anywhere/3": 5,
    });
    expect((await service.health("dense")).sse).toMatchObject({
      active_connections: 25,
      relays: { count: 3, behind: 0, events_behind: 0 },
    });
    streams.forEach((stream) => stream.end());
    await untilRelays(service, "dense", {}, ASLEEP_MS);
    const { sse } = await service.health("dense");
    expect(sse).toMatchObject({ active_connections: 0, lingering_connections: 0, relays: { count: 0 } });
    // Every stream of the hub itself, which are the feeds of its relays, has ended.
    const feeds = service.logs.filter(
      (line) => line["channel"] === "dense" && line["relay"] === undefined && "client_id" in line,
    );
    const ids = (event: string): string[] =>
      feeds
        .filter((line) => line.event === event)
        .map((line) => String(line["client_id"]))
        .toSorted();
    expect(ids("client_connected")).toHaveLength(3);
    expect(ids("client_disconnected")).toEqual(ids("client_connected"));
  });

  it("wake again for the next client, without a gap and with nothing lost", async () => {
    const [first] = await openMany(service, 1, { channel: "wakes" });
    await service.publish({ type: "tick", data: 1 }, "wakes");
    expect(await first?.nextEvent({ type: "tick" })).toMatchObject({ id: "1" });
    first?.end();
    await untilRelays(service, "wakes", {}, ASLEEP_MS);
    await service.publish({ type: "tick", data: 2 }, "wakes");
    const [back] = await openMany(service, 1, { channel: "wakes", last_event_id: first?.lastEventId ?? "" });
    await service.publish({ type: "tick", data: 3 }, "wakes");
    expect((await back?.collect(2))?.map(({ id }) => id)).toEqual(["2", "3"]);
    expect(back?.events.map(({ type }) => type)).not.toContain("gap");
    expect(await relaysOf(service, "wakes")).toEqual({ "anywhere/1": 1 });
  });

  it("of a region hold its clients, and say where they are", async () => {
    const channel = "regions";
    await openMany(service, 12, { channel }, from("EU"));
    await openMany(service, 3, { channel }, from("NA"));
    await openMany(service, 1, { channel }, from("not a continent"));
    expect(await relaysOf(service, channel)).toEqual({
      "anywhere/1": 1,
      "europe/1": PER_RELAY,
      "europe/2": 2,
      "north-america/1": 3,
    });
    const text = await (await service.fetch(`/metrics?channel=${channel}`)).text();
    const samples = samplesOf(text, "edge_sse_relay_connections");
    expect(samples.map(({ labels }) => labels["region"])).toEqual(
      samples.map(({ labels }) => labels["relay"]?.split("/")[0]),
    );
  });

  it("that were full are filled up before there is another one", async () => {
    const streams = await openMany(service, 3 * PER_RELAY, { channel: "holes" });
    // More than a tenth of the first relay leaves, and nobody of the others.
    const { clients } = (await (await service.admin("/api/admin/clients?channel=holes")).json()) as {
      clients: { id: string; relay: string }[];
    };
    const ofFirst = new Set(clients.filter(({ relay }) => relay === "anywhere/1").map(({ id }) => id));
    const leaving = streams.filter(({ events }) => {
      const { client_id } = JSON.parse(events[0]?.data ?? "") as { client_id: string };
      return ofFirst.has(client_id);
    });
    expect(leaving).toHaveLength(PER_RELAY);
    leaving.slice(0, 4).forEach((stream) => stream.reset());
    const after = { "anywhere/1": PER_RELAY - 4, "anywhere/2": PER_RELAY, "anywhere/3": PER_RELAY };
    await untilRelays(service, "holes", after);
    // The hub learns of it with the next renewal of the lease.
    await sleep(RENEWED_MS);
    await openMany(service, 4, { channel: "holes" });
    expect(await relaysOf(service, "holes")).toEqual({ ...after, "anywhere/1": PER_RELAY });
  });
});
