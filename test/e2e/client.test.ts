import { rm } from "node:fs/promises";

import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

import { SSEClient, type SSEProblem } from "../../src/client/client.ts";
import { Publisher } from "../../src/client/publisher.ts";
import type { SSEClientOptions } from "../../src/client/types.ts";
import { stablePort } from "../support/port.ts";
import {
  makeDataDir,
  publishToken,
  startService,
  type Service,
  type ServiceOptions,
} from "../support/service.ts";
import { until } from "../support/until.ts";

let services: Service[] = [];
let clients: SSEClient[] = [];

afterEach(async () => {
  for (const client of clients) {
    client.disconnect();
  }
  await Promise.all(services.map((service) => service.stop()));
  clients = [];
  services = [];
});

async function start(options?: ServiceOptions): Promise<Service> {
  const service = await startService(options);
  services.push(service);
  return service;
}

interface Watched {
  readonly client: SSEClient;
  readonly ids: string[];
  readonly retries: SSEProblem[];
  readonly errors: SSEProblem[];
  collect(count: number): Promise<void>;
}

function watch({ url }: Service, options: SSEClientOptions = {}): Watched {
  const client = new SSEClient({ url: `${url}/api/events`, ...options });
  clients.push(client);
  const watched: Watched = {
    client,
    ids: [],
    retries: [],
    errors: [],
    collect: async (count) => {
      await until(() => watched.ids.length >= count, {
        what: () => `${count} events; ${watched.ids.length} came`,
        timeoutMs: 15_000,
      });
    },
  };
  client.on("*", (_, { id }) => watched.ids.push(id));
  client.onRetry(({ problem }) => watched.retries.push(problem));
  client.onError((problem) => watched.errors.push(problem));
  client.connect();
  return watched;
}

const connected = async ({ client }: Watched): Promise<void> => {
  await until(() => client.state === "connected", { what: "a connection", timeoutMs: 15_000 });
};

const publisherOf = ({ url }: Service): Publisher =>
  new Publisher({ url: `${url}/api/publish`, token: publishToken });

const upTo = (last: number): string[] => Array.from({ length: last }, (_, n) => String(n + 1));

describe("The browser's client, when the service dies", () => {
  it("gets every event once and in order, although the runtime is killed while it reads and the publisher writes", async () => {
    const data = await makeDataDir();
    const options = { dataDir: data.path, port: await stablePort() };
    const first = await start(options);
    const board = watch(first);
    await connected(board);
    const publisher = publisherOf(first);
    for (let n = 0; n < 20; n++) {
      await publisher.publish([
        { type: "tick", data: n },
        { type: "tick", data: -n },
      ]);
    }
    const during = publisher.publish({ type: "tick", data: "during" });
    await first.kill();
    const second = await start(options);
    expect(await during).toMatchObject({ id: "41" });
    await publisherOf(second).publish({ type: "tick", data: "after" });
    await board.collect(42);
    expect(board.ids).toEqual(upTo(42));
    await data.remove();
  });

  it("gets a gap after the storage was wiped, even if the new ids have passed its own", async () => {
    const data = await makeDataDir();
    const options = { dataDir: data.path, port: await stablePort() };
    const first = await start(options);
    const board = watch(first);
    const reasons: string[] = [];
    board.client.on("gap", ({ reason }) => reasons.push(reason));
    await connected(board);
    await publisherOf(first).publish([
      { type: "tick", data: 1 },
      { type: "tick", data: 2 },
    ]);
    await board.collect(2);
    board.client.disconnect();
    await first.kill();
    await rm(data.path, { recursive: true });
    const second = await start(options);
    await publisherOf(second).publish(upTo(5).map((n) => ({ type: "tick", data: n })));
    board.client.connect();
    await board.collect(7);
    expect(reasons).toEqual(["unknown"]);
    expect(board.ids).toEqual(["1", "2", ...upTo(5)]);
    await data.remove();
  });
});

describe("The browser's client, against the service", () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({
      config: {
        sse: { max_connections: 1, retry_after_seconds: 1, heartbeat_interval_seconds: 1 },
        channels: { allowed: ["client-*"] },
      },
    });
  });

  afterAll(() => service.stop());

  it("waits for a slot as long as the service asks", async () => {
    const one = watch(service, { channel: "client-full" });
    await connected(one);
    const two = watch(service, { channel: "client-full" });
    await until(() => two.retries.length > 0, { what: "a refusal" });
    expect(two.retries[0]).toMatchObject({ code: "limit", status: 503 });
    expect(two.retries[0]?.retryAfterMs).toBeGreaterThanOrEqual(1_000);
    one.client.disconnect();
    await connected(two);
    expect(two.errors).toEqual([]);
  });

  it("moves its last id past events that its filter hides", async () => {
    const board = watch(service, { channel: "client-filter", types: ["rare"] });
    await connected(board);
    await service.publish(
      upTo(9).map((n) => ({ type: "tick", data: n })),
      "client-filter",
    );
    await until(() => board.client.lastEventId === "9", { what: "the id of a heartbeat" });
    expect(board.ids).toEqual([]);
  });

  it("reconnects after a drain, and stops after a kick", async () => {
    const channel = "client-drain";
    const board = watch(service, { channel });
    await connected(board);
    await service.admin(`/api/admin/drain?channel=${channel}&for_seconds=1`, { method: "POST" });
    await until(() => board.retries.some(({ code }) => code === "drain"), { what: "the drain" });
    await connected(board);
    const { clients: registered } = (await (
      await service.admin(`/api/admin/clients?channel=${channel}`)
    ).json()) as { clients: { id: string }[] };
    await service.admin(`/api/admin/clients/${registered[0]?.id}?channel=${channel}`, { method: "DELETE" });
    await until(() => board.client.state === "disconnected", { what: "the kick" });
    expect(board.errors.map(({ code }) => code)).toEqual(["kicked"]);
  });

  it("stops at a channel that does not exist, and reports why", async () => {
    const board = watch(service, { channel: "nowhere" });
    await until(() => board.client.state === "disconnected", { what: "the end" });
    expect(board.errors).toEqual([
      expect.objectContaining({ code: "unknown_channel", status: 404, final: true }),
    ]);
  });

  it("is served by the service, with its types", async () => {
    const script = await service.fetch("/sse-client.js");
    expect(script.headers.get("Content-Type")).toBe("text/javascript; charset=utf-8");
    expect(await script.text()).toContain("SSEClient");
    const types = await service.fetch("/sse-client.d.ts");
    expect(await types.text()).toContain("export declare class SSEClient");
  });
});
