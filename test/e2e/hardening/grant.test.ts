import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { jwtSecret, tokenOf } from "../../support/jwt.ts";
import { problemOf } from "../../support/problem.ts";
import { startService, type PublishedEvent, type Service } from "../../support/service.ts";

let service: Service;

const events: readonly PublishedEvent[] = [
  { type: "turn_mine", data: { n: 1, project_id: 7, agent_id: "a" } },
  { type: "turn_secret", data: { n: 2, project_id: 8, agent_id: "a" } },
  { type: "turn_secret", data: { n: 3, project_id: 7, agent_id: "b" } },
  { type: "secret", data: { n: 4, project_id: 7, agent_id: "a" } },
  { type: "TURN_SECRET", data: { n: 5, project_id: 7, agent_id: "a" } },
  { type: "turn_secret", data: { n: 6 } },
  { type: "turn_secret", data: { n: 7, project_id: "07", agent_id: "A" } },
  { type: "turn_mine", data: { n: 8, project_id: "7", agent_id: "a" } },
];

const narrow = { channels: ["board-*", "default"], types: ["turn_*"], project_id: [7], agent_id: ["a"] };

let reader: string;

beforeAll(async () => {
  service = await startService({
    config: {
      channels: { allowed: ["default", "board-*", "private", "publish-*"] },
      auth: { subscribe: "jwt", publish: ["token", "jwt"], metrics: "public" },
    },
    env: { JWT_SECRET: jwtSecret },
  });
  reader = await tokenOf({ edge_sse: { subscribe: narrow } });
  await service.publish(events, "board-1");
  await service.publish({ type: "turn_mine", data: { project_id: 7, agent_id: "a" } }, "private");
});

afterAll(() => service.stop());

const withToken = (token: string): { headers: Record<string, string> } => ({
  headers: { Authorization: `Bearer ${token}` },
});

/** The numbers of the events in the history of `board-1`, or the status of the refusal. */
async function read(query: string, token = reader): Promise<number[] | number> {
  const answer = await service.fetch(`/api/history?channel=board-1${query}`, withToken(token));
  if (answer.status !== 200) {
    return answer.status;
  }
  const { events: found } = (await answer.json()) as { events: { data: { n: number } }[] };
  return found.map(({ data }) => data.n);
}

async function storedIn(channel: string): Promise<string> {
  return (await service.health(channel)).sse.last_event_id;
}

const mine = [1, 8];

describe("A token for some events reads no others", () => {
  it("in the history", async () => {
    expect(await read("")).toEqual(mine);
  });

  it.each([
    ["from the earliest on", { since: "earliest" }, {}],
    ["after an id", { last_event_id: "0" }, {}],
    ["after an id in the header", {}, { "Last-Event-ID": "0" }],
    ["after an id that is none", { last_event_id: "nonsense" }, {}],
    ["of a time", { since: "1h" }, {}],
  ])("in the replay %s, or live after it", async (_what, query, headers) => {
    const { headers: own } = withToken(reader);
    const stream = await service.stream(
      { channel: "board-1", ...query },
      { headers: { ...own, ...headers } },
    );
    await stream.collect(2);
    const channel = "board-live";
    const live = await service.stream({ channel }, { headers: { ...own } });
    await service.publish(events, channel);
    await live.collect(2);
    for (const each of [stream, live]) {
      expect(
        each.events.filter(({ type }) => type !== "connected" && type !== "gap").map(({ type }) => type),
      ).toEqual(["turn_mine", "turn_mine"]);
      expect(each.text).not.toMatch(/secret/i);
      each.reset();
    }
  });

  it.each([
    "&types=*",
    "&types=",
    "&types=**",
    "&types=*,*",
    "&types=turn_*&types=*",
    "&types=t*,s*",
    "&types=turn_mine,secret",
    "&types=secret",
    "&types=SECRET",
    "&types=TURN_*",
    "&types=turn*",
    "&types=t*",
    "&types=%2A",
    "&types=turn_%2A%2C%2A",
    "&types=turn_*%2Csecret",
    "&types=turn_secret",
    "&project_id=8",
    "&project_id=7,8",
    "&project_id=7&project_id=8",
    "&project_id=07",
    "&project_id=%37%2C%38",
    "&project_id=*",
    "&project_id=7*",
    "&project_id=",
    "&agent_id=b",
    "&agent_id=A",
    "&agent_id=a,b",
    "&agent_id=*",
    "&agent_id=a&agent_id=b",
    "&types=*&project_id=8&agent_id=b",
    "&after=0",
    "&after=0&limit=1000",
    "&since=earliest",
    "&log=another",
  ])("with any filter: %s", async (query) => {
    const found = await read(query);
    // A malformed filter is refused. A valid one shows no other event.
    const others = typeof found === "number" ? [] : found.filter((n) => !mine.includes(n));
    expect({ others, status: typeof found === "number" ? found : 400 }).toEqual({ others: [], status: 400 });
  });

  it.each<[what: string, subscribe: object, found: number[]]>([
    ["no types at all", { types: [] }, []],
    ["no projects at all", { project_id: [] }, []],
    ["no agents at all", { agent_id: [] }, []],
    ["all types by a star", { types: ["*"] }, [1, 2, 3, 4, 5, 6, 7, 8]],
    ["a star as project, which is no wildcard", { project_id: ["*"] }, []],
    ["a project as text", { project_id: ["7"] }, [1, 3, 4, 5, 8]],
    ["a type that other ones begin with", { types: ["turn"] }, []],
    ["a pattern in the middle", { types: ["t*e"] }, []],
    ["a regular expression", { types: [".*"] }, []],
  ])("when its claim grants %s", async (_what, subscribe, found) => {
    expect(await read("", await tokenOf({ edge_sse: { subscribe } }))).toEqual(found);
  });
});

describe("A channel beyond a token's grant cannot be told from one that does not exist", () => {
  const routes = ["/api/events", "/api/history"];
  const names = ["private", "publish-x"];

  it.each(routes.flatMap((route) => names.map((name) => [route, name] as const)))(
    "%s of %s answers byte for byte the same",
    async (route, name) => {
      const [beyond, unknown] = await Promise.all(
        [name, "no-such-channel"].map((channel) =>
          service.fetch(`${route}?channel=${channel}`, withToken(reader)),
        ),
      );
      expect(beyond?.status).toBe(404);
      expect(unknown?.status).toBe(404);
      expect([...(beyond?.headers ?? [])]).toEqual([...(unknown?.headers ?? [])]);
      expect(await beyond?.text()).toBe(await unknown?.text());
    },
  );

  it.each([
    "board",
    "Board-1",
    "BOARD-1",
    "board-1%20",
    "board-1%00",
    "board%2d1/../private",
    "private,board-1",
    "*",
    "board-*",
    "b\u043eard-1",
    "\uff42oard-1",
    "board\u20101",
    "defau\u217ft",
    "d%C3%A9fault",
    "board-1%0a",
    "__proto__",
    "constructor",
  ])("and no spelling of a name reaches another channel: %s", async (name) => {
    const answer = await service.fetch(`/api/history?channel=${name}`, withToken(reader));
    expect(["invalid_parameter", "unknown_channel"]).toContain((await problemOf(answer)).code);
  });

  it("and naming two refuses both", async () => {
    const answer = await service.fetch("/api/history?channel=board-1&channel=private", withToken(reader));
    expect(await problemOf(answer)).toMatchObject({ status: 400, code: "invalid_parameter" });
  });
});

describe("A token of a publisher", () => {
  const publish = {
    channels: ["publish-a", "publish-b"],
    types: ["turn_*"],
    project_id: [7],
    agent_id: ["a"],
  };
  const good = { type: "turn_x", project_id: 7, agent_id: "a", data: {} };

  async function post(
    body: string,
    query: string,
    contentType = "application/json",
    grants: object = { publish },
  ) {
    const token = await tokenOf({ edge_sse: grants });
    return service.post(body, { query, contentType, authorization: `Bearer ${token}` });
  }

  it("publishes the events that it grants", async () => {
    expect((await post(JSON.stringify(good), "?channel=publish-b")).status).toBe(200);
    expect(await storedIn("publish-b")).toBe("1");
  });

  it.each<[what: string, event: object, field: string]>([
    ["of another type", { ...good, type: "other" }, "type"],
    ["of a type in another case", { ...good, type: "TURN_X" }, "type"],
    ["of another project", { ...good, project_id: 8 }, "project_id"],
    ["of no project", { ...good, project_id: null }, "project_id"],
    [
      "whose project is in its data alone, and another one",
      { ...good, project_id: null, data: { project_id: 8 } },
      "project_id",
    ],
    ["of another agent", { ...good, agent_id: "b" }, "agent_id"],
    ["of no agent", { ...good, agent_id: undefined }, "agent_id"],
  ])(
    "publishes no event of a batch with one event %s, and the answer names that event",
    async (_what, event, field) => {
      const answer = await post(JSON.stringify([good, good, event, good]), "?channel=publish-a");
      const problem = await problemOf(answer);
      expect(problem).toMatchObject({ status: 403, code: "forbidden", errors: [{ index: 2, field }] });
      expect(problem.errors).toHaveLength(1);
      const lines = [good, event].map((each) => JSON.stringify(each)).join("\n\n");
      const told = await problemOf(await post(lines, "?channel=publish-a", "application/x-ndjson"));
      expect(told).toMatchObject({ status: 403, errors: [{ line: 3, field }] });
      expect(await storedIn("publish-a")).toBe("0");
    },
  );

  it.each<[what: string, body: object, query: string]>([
    ["in the query", good, "?channel=board-2"],
    ["in the event", { ...good, channel: "board-2" }, ""],
    ["in the event, with an allowed one in the query", { ...good, channel: "board-2" }, "?channel=publish-a"],
    ["by leaving it out", good, ""],
  ])("publishes nothing to another channel: %s", async (_what, body, query) => {
    const answer = await post(JSON.stringify(body), query);
    expect(await problemOf(answer)).toMatchObject({
      status: 403,
      code: "forbidden",
      errors: [{ field: "channel" }],
    });
    expect(await storedIn("board-2")).toBe("0");
    expect(await storedIn("default")).toBe("0");
  });

  it("cannot add events for a second channel to a batch", async () => {
    const body = JSON.stringify([
      { ...good, channel: "publish-a" },
      { ...good, channel: "private" },
    ]);
    expect(await problemOf(await post(body, "?channel=publish-a"))).toMatchObject({ code: "mixed_channels" });
    expect(await storedIn("publish-a")).toBe("0");
  });

  it("gets at most 100 forbidden events listed", async () => {
    const body = JSON.stringify(
      Array.from({ length: 1_000 }, () => ({ ...good, type: "other", project_id: 8 })),
    );
    const problem = await problemOf(await post(body, "?channel=publish-a"));
    expect(problem.status).toBe(403);
    expect(problem.errors).toHaveLength(100);
  });

  it.each<[what: string, grants: object]>([
    ["a subscriber", { subscribe: {} }],
    ["an admin", { admin: true }],
    ["nothing", {}],
    ["no channel", { publish: { channels: [] } }],
    ["no type", { publish: { types: [] } }],
  ])("that grants %s publishes nothing", async (_what, grants) => {
    const answer = await post(JSON.stringify(good), "?channel=publish-a", "application/json", grants);
    expect(await problemOf(answer)).toMatchObject({ status: 403, code: "forbidden" });
    expect(await storedIn("publish-a")).toBe("0");
  });

  it("reads nothing", async () => {
    const token = await tokenOf({ edge_sse: { publish } });
    for (const [method, path] of [
      ["GET", "/api/events"],
      ["HEAD", "/api/events"],
      ["GET", "/api/history"],
      ["POST", "/api/tickets"],
    ] as const) {
      expect((await service.fetch(path, { method, ...withToken(token) })).status).toBe(403);
    }
  });
});
