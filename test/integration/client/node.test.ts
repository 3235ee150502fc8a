import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { SSEClient } from "../../../src/client/client.ts";
import { platform, type Environment } from "../../../src/client/environment.ts";
import { Publisher } from "../../../src/client/publisher.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { TinyService } from "../../support/tiny-service.ts";
import { until } from "../../support/until.ts";

let service: TinyService;
let clients: SSEClient[];

beforeEach(async () => {
  service = new TinyService();
  clients = [];
  await service.start();
});

afterEach(async () => {
  for (const client of clients) {
    client.disconnect();
  }
  await service.kill();
});

/** Node, with the shortest random delays. */
const environment: Environment = { ...platform(), random: () => 0 };

interface Watched {
  readonly client: SSEClient;
  readonly ids: string[];
  collect(count: number): Promise<void>;
}

async function connect(options: SSEClientOptions = {}): Promise<Watched> {
  const client = new SSEClient({ url: `${service.url}/api/events`, ...options }, environment);
  clients.push(client);
  const ids: string[] = [];
  client.on("*", (_, { id }) => ids.push(id));
  client.connect();
  await until(() => client.state === "connected", { what: "a connection" });
  return {
    client,
    ids,
    collect: async (count) => {
      await until(() => ids.length >= count, { what: () => `${count} events; ${ids.length} came` });
    },
  };
}

const idsTo = (last: number): string[] => Array.from({ length: last }, (_, index) => String(index + 1));

describe("on Node, over real sockets", () => {
  it("a client resumes after its service was killed, and gets every event once and in order", async () => {
    const { client, ids, collect } = await connect();
    for (let n = 0; n < 50; n++) {
      service.publish("tick", { n });
    }
    await collect(50);
    await service.kill();
    for (let n = 50; n < 100; n++) {
      service.publish("tick", { n });
    }
    await until(() => client.state === "reconnecting", { what: "the loss to be noticed" });
    await service.start();
    await collect(100);
    for (let n = 100; n < 150; n++) {
      service.publish("tick", { n });
    }
    await collect(150);
    expect(ids).toEqual(idsTo(150));
    expect(service.connects).toEqual([null, "50"]);
  });

  it("a client survives kills in the middle of replays", async () => {
    const text = "x".repeat(10_000);
    const { ids, collect } = await connect();
    for (let n = 0; n < 500; n++) {
      service.publish("tick", text);
    }
    for (const count of [1, 100, 300]) {
      await collect(count);
      await service.kill();
      await service.start();
    }
    await collect(500);
    expect(ids).toEqual(idsTo(500));
  });

  it("a silent service is noticed", async () => {
    service.heartbeatSeconds = 0.05;
    const { client } = await connect();
    const codes: string[] = [];
    client.onRetry(({ problem }) => codes.push(problem.code));
    await until(() => service.connects.length === 2, { what: "a second connect" });
    expect(codes[0]).toBe("heartbeat_missed");
  });

  it("disconnecting ends the connection of the service", async () => {
    const { client } = await connect();
    expect(service.streamCount).toBe(1);
    client.disconnect();
    await until(() => service.streamCount === 0, { what: "the end of the stream" });
    expect(client.state).toBe("disconnected");
  });

  it("clients that share hold one connection, and continue when the one that holds it leaves", async () => {
    const boards = [await connect({ shared: true }), await connect({ shared: true })];
    service.publish("tick", 1);
    await Promise.all(boards.map(({ collect }) => collect(1)));
    expect(service.connects).toEqual([null]);
    boards[0]?.client.disconnect();
    service.publish("tick", 2);
    await boards[1]?.collect(2);
    expect(service.connects).toEqual([null, "1"]);
    expect(boards.map(({ ids }) => ids)).toEqual([["1"], ["1", "2"]]);
  });

  it("a publisher and a client lose and double nothing across a restart", async () => {
    const { ids, collect } = await connect();
    const publisher = new Publisher({ url: `${service.url}/api/publish`, token: "t" }, environment);
    expect(await publisher.publish({ type: "tick", data: 1 })).toMatchObject({ id: "1", duplicate: false });
    await service.kill();
    const receipts = publisher.publish([
      { type: "tick", data: 2 },
      { type: "tick", data: 3 },
    ]);
    await service.start();
    expect((await receipts).map(({ id }) => id)).toEqual(["2", "3"]);
    await collect(3);
    expect(ids).toEqual(["1", "2", "3"]);
  });
});
