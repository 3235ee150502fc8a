import { readdir } from "node:fs/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import { publishToken, startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { max_connections: 3 }, channels: { allowed: ["default", "exact", "board-*"] } },
  });
});

afterAll(() => service.stop());

interface Route {
  method: string;
  path: string;
  body?: string;
}

const routesWithChannel: Route[] = [
  { method: "GET", path: "/api/events" },
  { method: "HEAD", path: "/api/events" },
  { method: "GET", path: "/api/history" },
  { method: "GET", path: "/health" },
  { method: "POST", path: "/api/publish", body: '{"type":"a","data":1}' },
  { method: "GET", path: "/api/admin/clients" },
  { method: "POST", path: "/api/admin/drain" },
  { method: "POST", path: "/api/admin/resume" },
  { method: "DELETE", path: "/api/admin/clients/5f0c2d6e-1f3b-4c8e-9a53-3f6d1c1d2e4f" },
];

function ask({ method, path, body }: Route, channel: string): Promise<Response> {
  const url = `${path}?channel=${channel}`;
  if (path.startsWith("/api/admin")) {
    return service.admin(url, { method });
  }
  const headers = { Authorization: `Bearer ${publishToken}`, "Content-Type": "application/json" };
  return service.fetch(url, { method, ...(body === undefined ? {} : { headers, body }) });
}

const files = async (): Promise<string[]> => (await readdir(service.dataDir, { recursive: true })).toSorted();

describe("Channels", () => {
  it("share nothing: ids, events and clients are their own", async () => {
    const one = await service.stream({ channel: "board-1" });
    const two = await service.stream({ channel: "board-2" });
    await service.publish({ type: "a", data: "one" }, "board-1");
    await service.publish({ type: "a", data: "one more" }, "board-1");
    await service.publish({ type: "a", data: "two" }, "board-2");
    expect((await one.collect(2)).map(({ id, data }) => [id, data])).toEqual([
      ["1", '"one"'],
      ["2", '"one more"'],
    ]);
    expect(await two.nextEvent({ type: "a" })).toMatchObject({ id: "1", data: '"two"' });
    expect(two.events).toHaveLength(2);
    const history = await service.fetch("/api/history?channel=board-2");
    expect(await history.json()).toMatchObject({ events: [{ id: "1", data: "two" }], latest_id: "1" });
  });

  it("have limits and logs of their own", async () => {
    const full = await Promise.all(
      Array.from({ length: 3 }, () => service.stream({ channel: "board-full" })),
    );
    expect((await service.fetch("/api/events?channel=board-full")).status).toBe(503);
    const other = await service.stream({ channel: "board-free" });
    const logs = await Promise.all(
      [full[0], other].map(async (stream) => {
        const connected = await stream?.nextEvent({ type: "connected" });
        return (JSON.parse(connected?.data ?? "") as { log: string }).log;
      }),
    );
    expect(logs[0]).not.toBe(logs[1]);
  });

  it.each(["default", "exact", "board-", "board-1", `board-${"x".repeat(58)}`])(
    "%s is allowed",
    async (channel) => {
      const stream = await service.stream({ channel });
      expect(JSON.parse((await stream.nextEvent()).data)).toMatchObject({ channel });
      stream.reset();
    },
  );

  it.each(routesWithChannel)(
    "one that is not allowed is 404 unknown_channel and creates nothing ($method $path)",
    async (route) => {
      const before = await files();
      for (const channel of ["other", "exactly", "board", "defaul"]) {
        const answer = await ask(route, channel);
        expect(answer.status).toBe(404);
        expect(route.method === "HEAD" || (await problemOf(answer)).code === "unknown_channel").toBe(true);
      }
      expect(await files()).toEqual(before);
    },
  );

  it.each(routesWithChannel)("one that is no name at all is 400 ($method $path)", async (route) => {
    for (const channel of [
      "",
      "A",
      "-a",
      "_a",
      "a.b",
      "a%20b",
      "a%0a",
      "%C5%BC",
      "a,b",
      "x".repeat(65),
      "board-*",
    ]) {
      const answer = await ask(route, channel);
      expect({ channel, status: answer.status }).toEqual({ channel, status: 400 });
      expect(route.method === "HEAD" || (await problemOf(answer)).code === "invalid_parameter").toBe(true);
    }
  });

  it("one named twice is 400", async () => {
    const answer = await service.fetch("/api/events?channel=board-1&channel=board-2");
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_parameter" });
  });
});
