import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import type { RawStream } from "../../support/raw-stream.ts";
import { from, openMany, PER_RELAY, samplesOf, SEATS, startRelayed } from "../../support/relays.ts";
import type { Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startRelayed({ sse: { heartbeat_interval_seconds: 60 } });
});

afterAll(() => service.stop());

interface Row {
  readonly id: string;
  readonly relay: string;
  readonly events_sent: number;
}

interface Page {
  readonly clients: readonly Row[];
  readonly next: string | null;
}

async function pageOf(channel: string, limit: number, after: string | null): Promise<Page> {
  const query = new URLSearchParams({ channel, limit: String(limit), ...(after !== null && { after }) });
  const answer = await service.admin(`/api/admin/clients?${query}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Page;
}

/** Reads the list of clients page by page. */
async function listed(channel: string, limit: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (let after: string | null = null; ;) {
    const page: Page = await pageOf(channel, limit, after);
    expect(page.clients.length).toBeLessThanOrEqual(limit);
    rows.push(...page.clients);
    after = page.next;
    if (after === null) {
      return rows;
    }
  }
}

/** The samples of a metric, by the labels of their relays. */
function byRelay(text: string, metric: string): Record<string, number> {
  return Object.fromEntries(
    samplesOf(text, metric).map(({ labels, value }) => [`${labels["relay"]} in ${labels["region"]}`, value]),
  );
}

function idOf(stream: RawStream): string {
  return (JSON.parse(stream.events[0]?.data ?? "") as { client_id: string }).client_id;
}

describe.skipIf(isExcepted("relays in one process"))("Operating relays", () => {
  it("health sums them up", async () => {
    const channel = "health";
    await openMany(service, 12, { channel }, from("EU"));
    await openMany(service, 6, { channel }, from("AS"));
    await service.publish({ type: "tick", data: 1 }, channel);
    await until(async () => (await service.health(channel)).sse.last_event_id === "1", { what: "the event" });
    expect(await service.health(channel)).toMatchObject({
      httpStatus: 200,
      status: "healthy",
      sse: {
        status: "healthy",
        active_connections: 18,
        lingering_connections: 0,
        max_connections: SEATS,
        relays: { count: 3, behind: 0, events_behind: 0 },
      },
    });
    await openMany(service, SEATS - 18, { channel }, from("EU"));
    await until(async () => (await service.health(channel)).status === "degraded", { what: "the limit" });
    expect((await service.health(channel)).sse).toMatchObject({
      active_connections: SEATS,
      reasons: ["limit_reached"],
    });
  });

  it("metrics tell of each of them, and their sums are those of the channel", async () => {
    const channel = "metrics";
    const streams = [
      ...(await openMany(service, 12, { channel }, from("EU"))),
      ...(await openMany(service, 5, { channel }, from("SA"))),
    ];
    await service.publish(
      [
        { type: "tick", data: 1 },
        { type: "tick", data: 2 },
      ],
      channel,
    );
    await Promise.all(streams.map((stream) => stream.collect(2)));
    const read = async (): Promise<string> => (await service.fetch(`/metrics?channel=${channel}`)).text();
    await until(
      async () =>
        Object.values(byRelay(await read(), "edge_sse_deliveries_total")).reduce((a, b) => a + b, 0) === 34,
      { what: "all deliveries" },
    );
    const text = await read();
    const clients = {
      "europe/1 in europe": PER_RELAY,
      "europe/2 in europe": 2,
      "south-america/1 in south-america": 5,
    };
    expect(byRelay(text, "edge_sse_relay_connections")).toEqual(clients);
    expect(byRelay(text, "edge_sse_connects_total")).toEqual(clients);
    expect(byRelay(text, "edge_sse_deliveries_total")).toEqual({
      "europe/1 in europe": 2 * PER_RELAY,
      "europe/2 in europe": 4,
      "south-america/1 in south-america": 10,
    });
    expect(byRelay(text, "edge_sse_relay_events_behind")).toEqual(
      Object.fromEntries(Object.keys(clients).map((name) => [name, 0])),
    );
    const [connections] = samplesOf(text, "edge_sse_connections");
    expect(connections).toEqual({ labels: { channel }, value: 17 });
    // What the hub alone does has no relay.
    expect(samplesOf(text, "edge_sse_events_total")).toEqual([{ labels: { channel }, value: 2 }]);
    expect(mistakesIn(text)).toEqual([]);
  });

  it("lists the clients page by page, each once, while others come and go", async () => {
    const channel = "pages";
    const staying = await openMany(service, 25, { channel });
    const ids = staying.map(idOf).toSorted();
    for (const limit of [1, 7, 10, 25, 1_000]) {
      const rows = await listed(channel, limit);
      expect(rows.map(({ id }) => id).toSorted()).toEqual(ids);
      expect(rows.map(({ relay }) => relay)).toEqual(rows.map(({ relay }) => relay).toSorted());
    }
    const stop = new AbortController();
    const churning = Array.from({ length: 5 }, async () => {
      for (let rounds = 0; !stop.signal.aborted; rounds++) {
        const stream = await service.raw(`/api/events?channel=${channel}`);
        expect(stream.status).toBe(200);
        stream.reset();
      }
    });
    for (let round = 0; round < 10; round++) {
      const seen = (await listed(channel, 3)).map(({ id }) => id);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.filter((id) => ids.includes(id)).toSorted()).toEqual(ids);
    }
    stop.abort();
    await Promise.all(churning);
  });

  it("refuses a page that is none", async () => {
    for (const query of ["limit=0", "limit=1001", "limit=a", "after=%00"]) {
      const answer = await service.admin(`/api/admin/clients?channel=pages&${query}`);
      expect([query, answer.status]).toEqual([query, 400]);
    }
  });

  it("kicks a client of any relay, and nobody else", async () => {
    const channel = "kick";
    const streams = await openMany(service, 25, { channel });
    const rows = await listed(channel, 1_000);
    const victims = ["anywhere/1", "anywhere/2", "anywhere/3"].map(
      (relay) => rows.find((row) => row.relay === relay)?.id ?? "",
    );
    for (const id of victims) {
      const path = `/api/admin/clients/${id}?channel=${channel}`;
      expect((await service.admin(path, { method: "DELETE" })).status).toBe(200);
      const stream = streams.find((one) => idOf(one) === id);
      await stream?.untilClosed();
      expect(stream?.complete).toBe(true);
      expect(stream?.events.at(-1)?.type).toBe("close");
      expect(JSON.parse(stream?.events.at(-1)?.data ?? "")).toMatchObject({ reason: "kicked" });
      expect((await service.admin(path, { method: "DELETE" })).status).toBe(404);
    }
    expect(streams.filter(({ closed }) => closed)).toHaveLength(victims.length);
    const left = (await listed(channel, 1_000)).map(({ id }) => id).toSorted();
    expect(left).toEqual(
      streams
        .map(idOf)
        .filter((id) => !victims.includes(id))
        .toSorted(),
    );
  });
});

/** The lines that are wrong in text format 0.0.4: a series comes once, and after its type. */
function mistakesIn(text: string): string[] {
  const types = new Map<string, string>();
  const series = new Set<string>();
  return text
    .trimEnd()
    .split("\n")
    .filter((line) => {
      const [, name, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
      if (name !== undefined && type !== undefined) {
        const isRepeated = types.has(name);
        types.set(name, type);
        return isRepeated;
      }
      if (line.startsWith("# HELP ")) {
        return false;
      }
      const [, id = "", metric = ""] =
        /^(([a-z_]+)(?:\{(?:[a-z]+="[^"\\\n]*",?)+\})?) -?[0-9.e+-]+$/.exec(line) ?? [];
      const isRepeated = series.has(id);
      series.add(id);
      const base = metric.replace(/_(bucket|sum|count)$/, "");
      return id === "" || isRepeated || !(types.has(metric) || types.get(base) === "histogram");
    });
}
