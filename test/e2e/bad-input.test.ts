import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

/** No event was stored, and no client was registered. */
async function expectNothingHappened(): Promise<void> {
  const { sse, status } = await service.health();
  expect({ status, id: sse.last_event_id, clients: sse.active_connections }).toEqual({
    status: "healthy",
    id: "0",
    clients: 0,
  });
}

describe("A malformed request", () => {
  it("is refused with a problem that names the parameter", async () => {
    const problem = await problemOf(await service.fetch("/api/events?types=a,,b&typo=1"));
    expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(problem.errors?.map(({ field }) => field).toSorted()).toEqual(["types", "typo"]);
    await expectNothingHappened();
  });

  it("for a missing file or route is 404, however its path is written", async () => {
    for (const path of [
      "/api",
      "/api/",
      "/api/nothing",
      "/api/events/1",
      "/API/events",
      "/api/admin/clients/a/b",
      "/health/live",
      "/nothing.html",
      "/.dev.vars",
      "/.env",
      "/wrangler.toml",
      "/config.yaml",
      "/src/index.ts",
      "/..%2f.dev.vars",
      "/%2e%2e/.dev.vars",
      "/api/%00",
      "/%",
    ]) {
      const answer = await service.raw(path, { headers: { Connection: "close" } });
      await answer.untilClosed();
      expect(await problemOf(answer), `GET ${path}`).toMatchObject({ status: 404, code: "not_found" });
    }
  });

  it("with a method that its route does not accept is 405 with Allow", async () => {
    const answer = await service.fetch("/api/events", { method: "PUT" });
    expect(await problemOf(answer)).toMatchObject({ status: 405, code: "method_not_allowed" });
    expect(answer.headers.get("allow")).toBe("GET, HEAD");
  });
});

describe("A request that breaks HTTP itself does not harm the service", () => {
  it("with a malformed Host", async () => {
    for (const host of ["%%%", "a b", ":::", "[::1"]) {
      const answer = await service.raw("/api/events", { headers: { Host: host, Connection: "close" } });
      await answer.untilClosed();
      const expected = { status: 400, code: "invalid_request" };
      expect(await problemOf(answer), `Host: ${host}`).toMatchObject(expected);
    }
  });

  it("with a header of 64 KiB, or an id of 16 KiB", async () => {
    for (const headers of [
      { "X-Long": "x".repeat(64 * 1024) },
      { "Last-Event-ID": "9".repeat(16 * 1024) },
    ] as Record<string, string>[]) {
      const answer = await service.raw("/api/events?channel=long", { headers });
      expect([200, 400, 413, 431]).toContain(answer.status);
      answer.reset();
      await expectNothingHappened();
    }
  });

  it("with a query of 16 KiB", async () => {
    const path = `/api/events?types=${"x".repeat(16 * 1024)}`;
    const answer = await service.raw(path, { headers: { Connection: "close" } });
    expect([400, 414, 431]).toContain(answer.status);
    await expectNothingHappened();
  });
});
