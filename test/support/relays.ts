import { expect } from "vitest";

import type { RawRequest, RawStream } from "./raw-stream.ts";
import { startService, type Service, type ServiceOptions } from "./service.ts";
import { until } from "./until.ts";

/** The most clients of a channel in these tests, and of one of its relays. */
export const SEATS = 40;
export const PER_RELAY = 10;

/** One continent for each region, as a local host takes it from a header. The last one has no region of its own. */
export const CONTINENTS = ["EU", "NA", "AS", "AF", "OC", "SA", "AN"] as const;

type Section = Readonly<Record<string, unknown>>;

/** The configuration of a service with relays that hold ten clients each. Sections that a test names are added to it. */
export function relayedConfig(config: Readonly<Record<string, Section>> = {}): Record<string, Section> {
  return {
    channels: { allowed: ["*"] },
    ...config,
    sse: { max_connections: SEATS, retry_after_seconds: 1, ...config["sse"] },
    limits: { clients_per_object: PER_RELAY, max_connections_per_address: 0, ...config["limits"] },
  };
}

/** Starts a service whose channels have relays. */
export function startRelayed(
  config: Readonly<Record<string, Section>> = {},
  options: Omit<ServiceOptions, "config"> = {},
): Promise<Service> {
  return startService({ ...options, config: relayedConfig(config) });
}

/** A request from a continent. */
export function from(continent: string, request: RawRequest = {}): RawRequest {
  return { ...request, headers: { ...request.headers, "Edge-Sse-Continent": continent } };
}

/** Opens streams, and waits until each is connected. */
export async function openMany(
  service: Service,
  count: number,
  query: Readonly<Record<string, string>> = {},
  request: RawRequest = {},
): Promise<RawStream[]> {
  const streams = await Promise.all(Array.from({ length: count }, () => service.stream(query, request)));
  await Promise.all(streams.map((stream) => until(() => stream.events.length > 0, { what: "connected" })));
  return streams;
}

/** How many clients each relay of a channel has. */
export async function relaysOf(service: Service, channel: string): Promise<Record<string, number>> {
  const answer = await service.fetch(`/metrics?channel=${channel}`);
  const text = await answer.text();
  expect([answer.status, answer.status === 200 || text]).toEqual([200, true]);
  return Object.fromEntries(
    samplesOf(text, "edge_sse_relay_connections").map(({ labels, value }) => {
      expect(labels["channel"]).toBe(channel);
      return [labels["relay"] ?? "", value];
    }),
  );
}

/** Waits until the relays of a channel have these clients. */
export async function untilRelays(
  service: Service,
  channel: string,
  expected: Readonly<Record<string, number>>,
  timeoutMs = 5_000,
): Promise<void> {
  let found: Record<string, number> = {};
  await until(
    async () => {
      found = await relaysOf(service, channel);
      return (
        Object.keys(found).length === Object.keys(expected).length &&
        Object.entries(expected).every(([relay, clients]) => found[relay] === clients)
      );
    },
    {
      what: () => `the relays ${JSON.stringify(expected)}; there are ${JSON.stringify(found)}`,
      timeoutMs,
      everyMs: 50,
    },
  );
}

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The samples of one metric in the text that Prometheus scrapes. */
export function samplesOf(text: string, metric: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const [, name, labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return name === metric
      ? {
          labels: Object.fromEntries(
            [...labels.matchAll(/([a-z]+)="([^"]*)"(?:,|$)/g)].map(([, label = "", labelled = ""]) => [
              label,
              labelled,
            ]),
          ),
          value: Number(value),
        }
      : [];
  });
}
