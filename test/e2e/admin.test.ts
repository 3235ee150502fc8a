import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

interface ClientRecord {
  readonly id: string;
  readonly [field: string]: unknown;
}

async function clients(query = ""): Promise<ClientRecord[]> {
  const answer = await service.admin(`/api/admin/clients${query}`);
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { clients: ClientRecord[] }).clients;
}

async function connect(query: Record<string, string>) {
  const stream = await service.stream(query);
  const connected = await stream.nextEvent({ type: "connected" });
  return { stream, id: (JSON.parse(connected.data) as { client_id: string }).client_id };
}

describe("Other routes: GET /api/admin/clients", () => {
  it("lists each client with its connect time, filter, lag and number of events", async () => {
    const before = Date.now();
    const all = await connect({ channel: "list" });
    const some = await connect({ channel: "list", types: "b,c_*", project_id: "7", agent_id: "x" });
    await service.publish(
      [
        { type: "a", data: 1 },
        { type: "a", data: 2 },
      ],
      "list",
    );
    await all.stream.collect(2);
    const records = await until(
      async () => {
        const found = await clients("?channel=list");
        return found.some((record) => record["events_sent"] === 2) ? found : undefined;
      },
      { what: "the registry to know of the two events" },
    );
    expect(records.map((record) => record.id).toSorted()).toEqual([all.id, some.id].toSorted());
    const record = records.find((candidate) => candidate.id === all.id);
    expect(record).toMatchObject({ events_sent: 2, lag: 0 });
    expect(Date.parse(String(record?.["connected_at"]))).toBeGreaterThanOrEqual(before - 1_000);
    expect(Date.parse(String(record?.["last_event_at"]))).toBeLessThanOrEqual(Date.now() + 1_000);
    const filtered = records.find((candidate) => candidate.id === some.id);
    expect(filtered).toMatchObject({
      events_sent: 0,
      last_event_at: null,
      filter: { types: ["b", "c_*"], project_id: ["7"], agent_id: ["x"] },
    });
  });

  it("lists the channel default if the query names none", async () => {
    const { id } = await connect({});
    expect((await clients()).map((record) => record.id)).toEqual([id]);
    expect((await clients("?channel=default")).map((record) => record.id)).toEqual([id]);
  });
});

describe("Other routes: DELETE /api/admin/clients/{id}", () => {
  it("kicks one client with close (kicked), and no other", async () => {
    const kicked = await connect({ channel: "kick" });
    const stays = await connect({ channel: "kick" });
    const answer = await service.admin(`/api/admin/clients/${kicked.id}?channel=kick`, { method: "DELETE" });
    expect(answer.ok).toBe(true);
    await kicked.stream.untilClosed();
    const close = kicked.stream.events.at(-1);
    expect(close).toMatchObject({ type: "close", id: undefined });
    expect(JSON.parse(close?.data ?? "")).toEqual({ reason: "kicked", retry_after_ms: expect.any(Number) });
    expect(kicked.stream.complete).toBe(true);
    expect((await clients("?channel=kick")).map((record) => record.id)).toEqual([stays.id]);
    await service.logged("client_disconnected", { client_id: kicked.id, reason: "kicked" });
    await service.publish({ type: "a", data: 1 }, "kick");
    expect(await stays.stream.nextEvent({ type: "a" })).toMatchObject({ id: "1" });
  });
});
