import { readFile } from "node:fs/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { max_connections: 7 }, channels: { allowed: ["default", "h-*"] } },
  });
});

afterAll(() => service.stop());

describe("Other routes: GET /health", () => {
  it("reports healthy, the version and the numbers of the default channel", async () => {
    const manifest = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    const answer = await service.fetch("/health");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-type")).toMatch(/^application\/json(;|$)/);
    expect(answer.headers.get("cache-control")).toContain("no-store");
    expect(await answer.json()).toMatchObject({
      status: "healthy",
      version: manifest.version,
      sse: { status: "healthy", active_connections: 0, max_connections: 7, last_event_id: "0" },
    });
  });

  it("counts the used channels if the query names none", async () => {
    const channels = async (): Promise<number> => {
      const { channels: count } = (await (await service.fetch("/health")).json()) as { channels: number };
      return count;
    };
    const before = await channels();
    await service.publish({ type: "a", data: 1 }, "h-new");
    expect(await channels()).toBe(before + 1);
    const one = (await (await service.fetch("/health?channel=h-new")).json()) as object;
    expect(one).not.toHaveProperty("channels");
  });

  it("counts the clients and knows the last id of the channel in the query", async () => {
    await Promise.all(Array.from({ length: 3 }, () => service.stream({ channel: "h-count" })));
    await service.publish(
      [
        { type: "a", data: 1 },
        { type: "a", data: 2 },
      ],
      "h-count",
    );
    expect((await service.health("h-count")).sse).toMatchObject({
      active_connections: 3,
      last_event_id: "2",
    });
    expect((await service.health("h-other")).sse).toMatchObject({
      active_connections: 0,
      last_event_id: "0",
    });
    expect((await service.health()).sse).toMatchObject({ active_connections: 0, last_event_id: "0" });
  });
});

describe("Other routes: GET /health?probe=1", () => {
  it("finds a client that has closed its connection, before its next heartbeat", async () => {
    const stream = await service.stream({ channel: "h-left" });
    stream.end();
    const count = async (): Promise<number | null> => {
      const answer = await service.fetch("/health?channel=h-left&probe=1");
      const { sse } = (await answer.json()) as { sse: { active_connections: number } };
      return sse.active_connections === 0 ? 0 : null;
    };
    const what = "a count without the client that has left";
    expect(await until(count, { what, everyMs: 100 })).toBe(0);
  });
});

describe("Other routes: GET /health of a full channel", () => {
  it("is degraded with a reason, and still 200", async () => {
    await Promise.all(Array.from({ length: 7 }, () => service.stream({ channel: "h-full" })));
    expect(await service.health("h-full")).toMatchObject({
      httpStatus: 200,
      status: "degraded",
      sse: { status: "degraded", active_connections: 7, reasons: ["limit_reached"] },
    });
  });
});
