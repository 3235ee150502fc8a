import { describe, expect, it, vi } from "vitest";

import { MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

const ANY = { channels: { allowed: ["*"] } };
const POST = { method: "POST", token: "admin" } as const;

async function clientsOf(service: MemoryService): Promise<{ id: string }[]> {
  const response = await service.send("/api/admin/clients", { token: "admin" });
  return ((await response.json()) as { clients: { id: string }[] }).clients;
}

async function jsonOf(answer: Promise<Response>): Promise<unknown> {
  return (await answer).json();
}

describe("every route of the administration", () => {
  it.each([
    ["GET", "/api/admin/clients"],
    ["DELETE", "/api/admin/clients/1"],
    ["POST", "/api/admin/drain"],
    ["POST", "/api/admin/resume"],
  ])("checks in this order: token, parameters, channel: %s %s", async (method, path) => {
    const service = new MemoryService();
    const send = (search: string, token?: string): Promise<[number, string]> =>
      refusalOf(service.send(`${path}?${search}`, token === undefined ? { method } : { method, token }));
    expect(await send("a=1&channel=nowhere")).toEqual([401, "unauthorized"]);
    expect(await send("a=1&channel=nowhere", "admin")).toEqual([400, "invalid_parameter"]);
    expect(await send("channel=nowhere", "admin")).toEqual([404, "unknown_channel"]);
  });
});

describe("the clients of a channel", () => {
  it("are listed with their filter and cursor, and can be kicked", async () => {
    const service = new MemoryService();
    await service.send("/api/events?types=a,b&project_id=7");
    const [client] = await clientsOf(service);
    expect(client).toMatchObject({
      connected_at: "2026-01-29T10:00:00.000Z",
      last_event_at: null,
      pending_ms: 0,
      token_ends_at: null,
      filter: { types: ["a", "b"], project_id: ["7"], agent_id: null },
      cursor: "0",
      lag: 0,
    });
    const path = `/api/admin/clients/${client?.id}`;
    const kick = { method: "DELETE", token: "admin" } as const;
    expect(await jsonOf(service.send(path, kick))).toEqual({ id: client?.id, kicked: true });
    expect(await clientsOf(service)).toEqual([]);
    expect(await refusalOf(service.send(path, kick))).toEqual([404, "unknown_client"]);
  });

  it("cannot be kicked through another channel", async () => {
    const service = new MemoryService({ config: ANY });
    await service.send("/api/events");
    const [client] = await clientsOf(service);
    const path = `/api/admin/clients/${client?.id}?channel=other`;
    const kicking = service.send(path, { method: "DELETE", token: "admin" });
    expect(await refusalOf(kicking)).toEqual([404, "unknown_client"]);
    expect(await clientsOf(service)).toHaveLength(1);
  });
});

describe("a drain", () => {
  it("of a channel ends its streams and refuses new ones until the channel is resumed", async () => {
    const service = new MemoryService();
    await service.send("/api/events");
    expect(await jsonOf(service.send("/api/admin/drain?channel=default&for_seconds=60", POST))).toEqual({
      channels: 1,
      closed: 1,
      draining_until: "2026-01-29T10:01:00.000Z",
    });
    expect(await refusalOf(service.send("/api/events"))).toEqual([503, "draining"]);
    expect(await jsonOf(service.send("/api/admin/resume?channel=default", POST))).toEqual({ channels: 1 });
    expect((await service.send("/api/events")).status).toBe(200);
  });

  it("of all channels wakes only the channels that have clients", async () => {
    const service = new MemoryService({ config: ANY });
    await service.send("/api/events?channel=a");
    await service.publish("b", "tick");
    expect(await jsonOf(service.send("/api/admin/drain", POST))).toMatchObject({ channels: 1, closed: 1 });
  });

  it("of all channels ends with a resume of all channels, which tells the channels that know of it", async () => {
    const service = new MemoryService({ config: ANY });
    await service.send("/api/events?channel=a");
    await service.publish("b", "tick");
    await service.send("/api/admin/drain", POST);
    expect(await refusalOf(service.send("/api/events?channel=a"))).toEqual([503, "draining"]);
    expect(await jsonOf(service.send("/api/admin/resume", POST))).toEqual({ channels: 1 });
    expect((await service.send("/api/events?channel=a")).status).toBe(200);
    expect(await jsonOf(service.send("/api/admin/resume", POST))).toEqual({ channels: 0 });
  });

  it("of an unused channel creates no hub", async () => {
    const service = new MemoryService();
    const answer = await jsonOf(service.send("/api/admin/drain?channel=default", POST));
    expect(answer).toMatchObject({ channels: 1, closed: 0 });
    expect(service.host.existing.size).toBe(0);
  });

  it("fails if a channel cannot be reached", async () => {
    const service = new MemoryService();
    await service.send("/api/events");
    service.host.broken.set("default", new Error("gone"));
    expect(await refusalOf(service.send("/api/admin/drain", POST))).toEqual([503, "hub_unreachable"]);
  });

  it("lasts 1 s to a day", async () => {
    const service = new MemoryService();
    for (const seconds of ["0", "86401", "-1", "1.5", "1e3", "99999999999", "x", ""]) {
      const answer = service.send(`/api/admin/drain?for_seconds=${seconds}`, POST);
      expect(await refusalOf(answer)).toEqual([400, "invalid_parameter"]);
    }
  });
});

describe("the shutdown by the local launcher", () => {
  const path = "/api/admin/shutdown";

  it("does not exist without a launcher", async () => {
    expect(await refusalOf(new MemoryService().send(path, POST))).toEqual([404, "not_found"]);
  });

  it("accepts only the token of the launcher", async () => {
    const service = new MemoryService({ launcherToken: "launcher" });
    expect(await refusalOf(service.send(path, POST))).toEqual([401, "unauthorized"]);
  });

  it("ends all streams, and then refuses streams and publishes", async () => {
    const service = new MemoryService({ config: ANY, launcherToken: "launcher" });
    await service.publish("default", "tick");
    await service.publish("quiet", "tick");
    const stream = await service.send("/api/events");
    const reading = stream.text();
    const stopped = service.send(path, { method: "POST", token: "launcher" });
    expect(await reading).toContain('{"reason":"shutdown"');
    expect(await jsonOf(stopped)).toEqual({ channels: 1, closed: 1, lingering: 0 });
    expect(await refusalOf(service.send("/api/events"))).toEqual([503, "shutting_down"]);
    const publish = { method: "POST", token: "publish", body: { type: "tick", data: 1 } };
    expect(await refusalOf(service.send("/api/publish", publish))).toEqual([503, "shutting_down"]);
    const quiet = "channel=quiet";
    expect(await refusalOf(service.send(`/api/events?${quiet}`))).toEqual([503, "shutting_down"]);
    expect(await refusalOf(service.send(`/api/publish?${quiet}`, publish))).toEqual([503, "shutting_down"]);
  });

  it("refuses streams but not publishes while it waits for a peer that does not read", async () => {
    const service = new MemoryService({ config: ANY, launcherToken: "launcher" });
    const unread = await service.send("/api/events");
    await service.publish("quiet", "tick");
    const stopped = service.send(path, { method: "POST", token: "launcher" });
    await vi.waitUntil(() => service.host.lines.some(({ event }) => event === "channel_closed"));
    expect(await refusalOf(service.send("/api/events?channel=quiet"))).toEqual([503, "shutting_down"]);
    await service.publish("quiet", "tick");
    await unread.text();
    expect(await jsonOf(stopped)).toMatchObject({ closed: 1, lingering: 0 });
  });
});
