import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: { max_connections: 3, heartbeat_interval_seconds: 1 },
      channels: { allowed: ["default", "m-*"] },
    },
  });
});

afterAll(() => service.stop());

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

/** Reads the text format 0.0.4, and insists on its order: HELP, TYPE, then the samples of the family together. */
function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let help: [name: string, text: string] | undefined;
  let current: [name: string, family: Family] | undefined;
  expect(text.endsWith("\n")).toBe(true);
  for (const line of text.slice(0, -1).split("\n")) {
    const helpLine = /^# HELP ([a-z_]+) (\S.*)$/.exec(line);
    const typeLine = /^# TYPE ([a-z_]+) (counter|gauge|histogram)$/.exec(line);
    const sampleLine = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (helpLine !== null) {
      help = [helpLine[1] ?? "", helpLine[2] ?? ""];
    } else if (typeLine !== null) {
      const name = typeLine[1] ?? "";
      expect(help?.[0]).toBe(name);
      expect(families.has(name)).toBe(false);
      current = [name, { type: typeLine[2] ?? "", help: help?.[1] ?? "", samples: [] }];
      families.set(...current);
    } else if (sampleLine !== null) {
      const [, name = "", labelText = "", value = ""] = sampleLine;
      const labels = [...labelText.matchAll(/([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/g)];
      expect(labels.map(([label]) => label).join("")).toBe(labelText);
      expect(name.replace(current?.[1].type === "histogram" ? /_(bucket|sum|count)$/ : "", "")).toBe(
        current?.[0],
      );
      const sample = {
        name,
        labels: Object.fromEntries(labels.map(([, label = "", text_ = ""]) => [label, text_])),
        value: Number(value),
      };
      expect(sample.value).not.toBeNaN();
      current?.[1].samples.push(sample);
    } else {
      throw new Error(`Not a line of the text format: ${JSON.stringify(line)}`);
    }
  }
  return families;
}

async function metrics(): Promise<Map<string, Family>> {
  const answer = await service.fetch("/metrics");
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4(; charset=utf-8)?$/);
  return parseMetrics(await answer.text());
}

/** The sum of all samples of a name that carry these labels; undefined when there is none. */
async function read(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const samples = [...(await metrics()).values()]
    .flatMap((family) => family.samples)
    .filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    );
  return samples.length === 0 ? undefined : samples.reduce((sum, sample) => sum + sample.value, 0);
}

/** Waits until a sum has a value: scrapes of one second can have the same text. */
async function readsAs(
  value: number,
  name: string,
  labels: Readonly<Record<string, string>>,
  how: "exactly" | "at least" = "exactly",
): Promise<void> {
  const hasCome = async (): Promise<boolean> => {
    const sum = (await read(name, labels)) ?? 0;
    return how === "exactly" ? sum === value : sum >= value;
  };
  await until(hasCome, { what: `${name} ${how} ${value}` });
}

describe("Other routes: GET /metrics", () => {
  it("is Prometheus text, and names every family with help and type", async () => {
    await service.publish({ type: "a", data: 1 }, "m-format");
    const families = await metrics();
    expect([...families.keys()].every((name) => name.startsWith("edge_sse_"))).toBe(true);
    for (const [name, { type, samples }] of families) {
      expect([name, name.endsWith("_total")]).toEqual([name, type === "counter"]);
      // All but those of the service as a whole are of one channel.
      const isOfChannel = !/^edge_sse_(?:channels|relays_not_shown)/.test(name);
      expect(samples.every((sample) => "channel" in sample.labels === isOfChannel)).toBe(true);
    }
  });

  it("counts connections, events, deliveries and their latency", async () => {
    const labels = { channel: "m-events" };
    const streams = await Promise.all(Array.from({ length: 3 }, () => service.stream(labels)));
    await service.publish(
      [
        { type: "a", data: 1 },
        { type: "a", data: 2, key: "k" },
        { type: "a", data: 2, key: "k" },
      ],
      "m-events",
    );
    await Promise.all(streams.map((stream) => stream.collect(2)));
    await readsAs(6, "edge_sse_deliveries_total", labels);
    expect(await read("edge_sse_connections", labels)).toBe(3);
    expect(await read("edge_sse_connections_max", labels)).toBe(3);
    expect(await read("edge_sse_events_total", labels)).toBe(2);
    expect(await read("edge_sse_duplicates_total", labels)).toBe(1);
    expect(await read("edge_sse_last_event_id", labels)).toBe(2);
    const count = await read("edge_sse_delivery_latency_seconds_count", labels);
    expect(count).toBeGreaterThan(0);
    expect(await read("edge_sse_delivery_latency_seconds_bucket", { ...labels, le: "+Inf" })).toBe(count);
    const families = await metrics();
    const buckets = families
      .get("edge_sse_delivery_latency_seconds")
      ?.samples.filter((sample) => sample.name.endsWith("_bucket") && sample.labels["channel"] === "m-events")
      .map((sample) => sample.value);
    expect(buckets).toEqual(buckets?.toSorted((a, b) => a - b));
  });

  it("counts heartbeats, rejections by code and disconnects by reason", async () => {
    const labels = { channel: "m-others" };
    const streams = await Promise.all(Array.from({ length: 3 }, () => service.stream(labels)));
    await streams[0]?.nextComment();
    await readsAs(1, "edge_sse_heartbeats_total", labels, "at least");
    expect((await service.fetch("/api/events?channel=m-others")).status).toBe(503);
    await readsAs(1, "edge_sse_rejections_total", { ...labels, code: "limit" });
    streams[0]?.reset();
    await readsAs(1, "edge_sse_disconnects_total", { ...labels, reason: "client_left" });
    await service.admin("/api/admin/drain?channel=m-others", { method: "POST" });
    await readsAs(2, "edge_sse_disconnects_total", { ...labels, reason: "drain" });
    expect(await read("edge_sse_connections", labels)).toBe(0);
    await service.admin("/api/admin/resume?channel=m-others", { method: "POST" });
  });
});
