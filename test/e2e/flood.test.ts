import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { flood, type FloodResult } from "../../bench/flood.ts";
import { startService, type Service } from "../support/service.ts";

const CLIENTS = 50;
const PER_SECOND = 500;
const SECONDS = 2;

const authorized = { Authorization: "Bearer reader" };

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      auth: { subscribe: "token" },
      sse: { max_connections: CLIENTS },
      limits: { exempt_addresses: ["127.0.0.1"] },
      logging: { level: "warn" },
    },
    env: { SUBSCRIBE_TOKEN: "reader" },
  });
});

afterAll(() => service.stop());

describe("a flood of refused connects, 500 a second", () => {
  it("opens no stream, costs no client an event, and is logged once a second", async () => {
    const streams = await Promise.all(
      Array.from({ length: CLIENTS }, () => service.stream({}, { headers: authorized })),
    );
    const refused = flood({
      origin: service.url,
      requests: [
        { path: "/api/events", headers: { Authorization: "Bearer nobody" } },
        { path: "/api/events", headers: authorized },
        { path: "/api/events", headers: authorized, localAddress: "127.0.0.66" },
      ],
      perSecond: PER_SECOND,
      seconds: SECONDS,
    });
    let published = 0;
    let answers: FloodResult | null = null;
    while (answers === null) {
      await service.publish({ type: "tick", data: published++ });
      answers = await Promise.race([refused, null]);
    }
    const { 401: unauthorized = 0, 429: tooOften = 0, 503: full = 0 } = answers;
    expect(Object.keys(answers).filter((status) => !["401", "429", "503"].includes(status))).toEqual([]);
    expect(unauthorized + tooOften + full).toBe(PER_SECOND * SECONDS);
    expect(Math.min(unauthorized, full)).toBeGreaterThan(100);
    for (const stream of streams) {
      const ids = (await stream.collect(published, { type: "tick" })).map(({ id }) => Number(id));
      expect(ids).toEqual(Array.from({ length: published }, (_, index) => index + 1));
    }
    const lines = service.logs.filter(({ event }) => event === "limit_reached").length;
    expect(lines).toBeGreaterThan(0);
    expect(lines).toBeLessThan(2 * (SECONDS + 5));
  });
});
