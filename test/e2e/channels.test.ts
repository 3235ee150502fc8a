import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { max_connections: 3 }, channels: { allowed: ["default", "board-*"] } },
  });
});

afterAll(() => service.stop());

describe("Channels", () => {
  it("share no ids, events or clients", async () => {
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

  it("have separate limits and logs", async () => {
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

  it("that are not allowed are answered with 404", async () => {
    const answer = await service.fetch("/api/events?channel=other");
    expect(await problemOf(answer)).toMatchObject({ status: 404, code: "unknown_channel" });
  });
});
