import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { jwtSecret, tokenOf } from "../support/jwt.ts";
import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

/** `constructor` is a member that every object of JavaScript has, and a valid name. */
const FIELDS = ["tenant_id", "user", "constructor"];

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      channels: { allowed: ["*"] },
      filters: { fields: FIELDS },
      auth: { subscribe: ["token", "jwt"], publish: ["token", "jwt"] },
    },
    env: { JWT_SECRET: jwtSecret, SUBSCRIBE_TOKEN: "read" },
  });
});

afterAll(() => service.stop());

const bearer = (token: string): { headers: Record<string, string> } => ({
  headers: { Authorization: `Bearer ${token}` },
});

interface Stored {
  readonly data: unknown;
  readonly [member: string]: unknown;
}

async function history(query: string, token = "read"): Promise<readonly Stored[]> {
  const answer = await service.fetch(`/api/history?${query}`, bearer(token));
  expect(answer.status).toBe(200);
  return ((await answer.json()) as { events: Stored[] }).events;
}

/** The ids of the events of the channel `own` that a filter selects. */
async function seen(query: string): Promise<unknown[]> {
  return (await history(`channel=own&${query}`)).map(({ id }) => id);
}

async function publicIds(one: Service, query: string): Promise<unknown[]> {
  const answer = (await (await one.fetch(`/api/history?${query}`)).json()) as { events: Stored[] };
  return answer.events.map(({ id }) => id);
}

describe("Your own fields", () => {
  beforeAll(() =>
    service.publish(
      [
        { type: "tick", data: "a1", tenant_id: "a", user: 1 },
        { type: "tick", data: { tenant_id: "a", user: 2 } },
        { type: "tick", data: "b", tenant_id: "b", user: null },
        { type: "tick", data: "none" },
        { type: "tick", data: { project_id: 7 } },
      ],
      "own",
    ),
  );

  it("filter the history, by the value in the event or else in its data", async () => {
    expect(await seen("tenant_id=a")).toEqual(["1", "2"]);
    expect(await seen("tenant_id=a,b&user=1")).toEqual(["1"]);
    expect(await seen("user=2&user=3")).toEqual(["2"]);
    expect(await seen("constructor=a")).toEqual([]);
    expect(await seen("")).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("filter replayed and live events of a stream alike", async () => {
    const channel = "both";
    await service.publish({ type: "tick", data: "old", tenant_id: "a" }, channel);
    await service.publish({ type: "tick", data: "hidden", tenant_id: "b" }, channel);
    const query = { channel, tenant_id: "a", since: "earliest" };
    const stream = await service.stream(query, bearer("read"));
    await stream.collect(1);
    await service.publish({ type: "tick", data: "hidden" }, channel);
    await service.publish({ type: "tick", data: "new", tenant_id: "a" }, channel);
    expect((await stream.collect(2)).map(({ data }) => data)).toEqual(['"old"', '"new"']);
  });

  it("are members of an event in the history and in an envelope, where the event has them", async () => {
    const [first, , third, fourth] = await history("channel=own");
    const members = ["id", "type", "data", "tenant_id", "user", "published_at"];
    expect(Object.keys(first ?? {})).toEqual(members);
    expect([first?.["tenant_id"], first?.["user"]]).toEqual(["a", "1"]);
    expect(Object.keys(third ?? {})).toEqual(["id", "type", "data", "tenant_id", "published_at"]);
    expect(Object.keys(fourth ?? {})).toEqual(["id", "type", "data", "published_at"]);
    const stream = await service.stream({ channel: "own", envelope: "1", since: "earliest" }, bearer("read"));
    const [frame] = await stream.collect(1);
    expect(JSON.parse(frame?.data ?? "")).toEqual(first);
  });

  it.each([
    ["differ", { tenant_id: "a", data: { tenant_id: "b" } }, "conflicting_field"],
    ["are no ids", { tenant_id: "a,b", data: 1 }, "invalid_event"],
    ["are no ids, with a name that objects have", { constructor: {}, data: 1 }, "invalid_event"],
    ["are not configured", { project_id: 7, data: 1 }, "invalid_event"],
  ])("are refused in a publish if they %s", async (_what, event, code) => {
    const answer = await service.post(JSON.stringify({ type: "tick", ...event }));
    expect((await problemOf(answer)).code).toBe(code);
  });

  it("are the only parameters beside the ones of the protocol", async () => {
    const answer = await service.fetch("/api/history?project_id=7", bearer("read"));
    const { errors } = await problemOf(answer);
    expect(errors?.map(({ field }) => field)).toEqual(["project_id"]);
    expect(errors?.[0]?.detail).toContain("tenant_id, user, constructor");
  });

  it("are what a grant names, for readers and publishers", async () => {
    const grant = { channels: ["own", "granted"], tenant_id: ["a"] };
    const token = await tokenOf({ edge_sse: { subscribe: grant, publish: grant } });
    expect((await history("channel=own", token)).map(({ id }) => id)).toEqual(["1", "2"]);
    expect((await history("channel=own&tenant_id=b", token)).map(({ id }) => id)).toEqual([]);
    const publish = (event: object) =>
      service.post(JSON.stringify({ type: "tick", data: 1, ...event }), {
        query: "?channel=granted",
        authorization: `Bearer ${token}`,
      });
    expect((await publish({ tenant_id: "a" })).status).toBe(200);
    for (const event of [{}, { tenant_id: "b" }]) {
      const { errors } = await problemOf(await publish(event));
      expect(errors?.map(({ field }) => field)).toEqual(["tenant_id"]);
    }
  });

  it.each(["projects", "agents", "project_id", "tenant"])(
    "void a grant that names another one: %s",
    async (name) => {
      const token = await tokenOf({ edge_sse: { subscribe: { channels: ["own"], [name]: ["a"] } } });
      const answer = await service.fetch("/api/history?channel=own", bearer(token));
      expect(answer.status).toBe(403);
    },
  );

  it("are in the list of clients", async () => {
    const stream = await service.stream({ channel: "listed", user: "2,1", types: "t*" }, bearer("read"));
    await stream.nextEvent({ type: "connected" });
    const answer = await service.admin("/api/admin/clients?channel=listed");
    const { clients } = (await answer.json()) as { clients: { filter: unknown }[] };
    expect(clients.map(({ filter }) => filter)).toEqual([
      { types: ["t*"], tenant_id: null, user: ["2", "1"], constructor: null },
    ]);
  });
});

describe("A change of the fields", () => {
  it("keeps the fields of stored events, and finds a new field in new events only", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "edge-sse-fields-"));
    const run = async (fields: readonly string[], work: (one: Service) => Promise<void>) => {
      const one = await startService({ dataDir, config: { filters: { fields } } });
      await work(one);
      await one.stop();
    };
    const event = { type: "tick", data: { old_id: 1, new_id: 2 } };
    try {
      await run(["old_id"], async (one) => {
        await one.publish(event);
      });
      await run(["new_id"], async (one) => {
        await one.publish(event);
        expect(await publicIds(one, "new_id=2")).toEqual(["2"]);
        expect((await one.fetch("/api/history?old_id=1")).status).toBe(400);
        const { events } = (await (await one.fetch("/api/history")).json()) as { events: Stored[] };
        expect(events.map(({ old_id, new_id }) => ({ old_id, new_id }))).toEqual([
          { old_id: "1", new_id: undefined },
          { old_id: undefined, new_id: "2" },
        ]);
      });
      await run(["old_id", "new_id"], async (one) => {
        expect(await publicIds(one, "old_id=1")).toEqual(["1"]);
        expect(await publicIds(one, "new_id=2")).toEqual(["2"]);
      });
    } finally {
      await rm(dataDir, { recursive: true, force: true });
    }
  });
});
