import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient, type SSEProblem } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { ClientWorld, settle } from "../../support/client-world.ts";

let world: ClientWorld;

beforeEach(() => {
  world = new ClientWorld();
});

const create = (options: SSEClientOptions = {}): SSEClient => new SSEClient(options, world.environment);

async function connected(options: SSEClientOptions = {}): Promise<SSEClient> {
  const client = create(options);
  client.connect();
  await settle();
  world.last.open();
  await settle();
  return client;
}

describe("the request of a client", () => {
  it("goes to /api/events of the page, with the necessary headers only", async () => {
    create().connect();
    await settle();
    expect(world.last.url.href).toBe("https://app.example/api/events");
    expect(Object.fromEntries(world.last.headers)).toEqual({ accept: "text/event-stream" });
    expect(world.last.init.cache).toBe("no-store");
    expect(world.last.init).not.toHaveProperty("credentials");
  });

  it("carries the filter, the channel and the start", async () => {
    create({
      url: "/stream?tenant=4",
      channel: "board",
      types: ["turn_*", "session_ended"],
      projectId: 7,
      agentId: ["a", 12],
      since: new Date("2026-11-22T10:00:00Z"),
    }).connect();
    await settle();
    expect(world.last.url.pathname).toBe("/stream");
    expect(world.last.query).toEqual({
      tenant: "4",
      channel: "board",
      types: "turn_*,session_ended",
      project_id: "7",
      agent_id: "a,12",
      since: "2026-11-22T10:00:00.000Z",
    });
  });

  it("carries fields of any name, and asks to be told that it has caught up", async () => {
    create({
      where: { tenant_id: ["a", 1], user: undefined, agent_id: 2 },
      projectId: 7,
      caughtUp: true,
    }).connect();
    await settle();
    expect(world.last.query).toEqual({ tenant_id: "a,1", agent_id: "2", project_id: "7", caught_up: "1" });
  });

  it("resumes an earlier page with its id and log, and then without `since`", async () => {
    create({ lastEventId: "57", log: "log-a", since: "10m" }).connect();
    await settle();
    expect(world.last.headers.get("Last-Event-ID")).toBe("57");
    expect(world.last.query).toEqual({ log: "log-a" });
  });

  it("can go to another origin, with credentials", async () => {
    create({ url: new URL("https://sse.example/api/events"), withCredentials: true }).connect();
    await settle();
    expect(world.last.url.origin).toBe("https://sse.example");
    expect(world.last.init.credentials).toBe("include");
  });

  it("uses the given `fetch`, which is called without a receiver", async () => {
    const calls: { url: string; receiver: unknown }[] = [];
    const options: SSEClientOptions = {
      fetch: function fetch(this: unknown, url: string, init: RequestInit) {
        calls.push({ url, receiver: this });
        return world.fetch(url, init);
      },
    };
    create(options).connect();
    await settle();
    expect(calls.map(({ url }) => url)).toEqual(["https://app.example/api/events"]);
    // A browser's fetch throws if its receiver is not the window.
    expect(calls[0]?.receiver).not.toBe(options);
  });

  it.each<[string, SSEClientOptions]>([
    ["a list of ids that is empty", { projectId: [] }],
    ["an id with a comma", { agentId: "a,b" }],
    ["an empty id", { projectId: "" }],
    ["a value of a field with a comma", { where: { tenant_id: "a,b" } }],
    ["a list of values that is empty", { where: { tenant_id: [] } }],
    ["a name that no field can have", { where: { tenantId: "a" } }],
    ["a field that is given twice", { where: { project_id: 7 }, projectId: 7 }],
    ["an empty type", { types: ["tick", ""] }],
    ["a URL that is none", { url: "http://" }],
    ["a pause that is no time", { pauseWhenHiddenSeconds: Number.NaN }],
    ["a pause longer than a day", { pauseWhenHiddenSeconds: 1e9 }],
  ])("is refused at once for %s", (_, options) => {
    expect(() => create(options)).toThrow(TypeError);
  });

  it("needs an absolute URL where there is no page", () => {
    const environment = { ...world.environment, baseUrl: undefined };
    expect(() => new SSEClient({}, environment)).toThrow(/absolute/);
    expect(() => new SSEClient({ url: "https://sse.example/api/events" }, environment)).not.toThrow();
  });
});

describe("states", () => {
  it("go from disconnected through connecting to connected, and back", async () => {
    const client = create();
    const changes: string[] = [];
    client.onStateChange((state, previous) => changes.push(`${previous} > ${state}`));
    expect(client.state).toBe("disconnected");
    client.connect();
    expect(client.state).toBe("connecting");
    await settle();
    world.last.accept();
    await settle();
    expect(client.state).toBe("connecting");
    world.last.open();
    await settle();
    expect(client.state).toBe("connected");
    client.disconnect();
    expect(client.state).toBe("disconnected");
    expect(changes).toEqual([
      "disconnected > connecting",
      "connecting > connected",
      "connected > disconnected",
    ]);
  });

  it("are reconnecting, with the problem, from a loss to the next stream", async () => {
    const client = await connected();
    const changes: [string, string | undefined][] = [];
    client.onStateChange((state, _, problem) => changes.push([state, problem?.code]));
    world.last.cut();
    const again = await world.nextRequest();
    again.open();
    await settle();
    expect(changes).toEqual([
      ["reconnecting", "network"],
      ["connected", undefined],
    ]);
  });

  it("are reconnecting when the first attempt has failed", async () => {
    const client = create();
    client.connect();
    await settle();
    world.last.refuse();
    await settle();
    expect(client.state).toBe("reconnecting");
  });

  it("do not change when it connects twice or disconnects twice", async () => {
    const client = await connected();
    const changes: string[] = [];
    client.onStateChange((state) => changes.push(state));
    client.connect();
    client.disconnect();
    client.disconnect();
    await settle();
    expect(changes).toEqual(["disconnected"]);
    expect(world.exchanges).toHaveLength(1);
  });
});

describe("disconnecting", () => {
  it("aborts the request, and leaves no timer and no listener behind", async () => {
    const client = await connected();
    client.disconnect();
    await settle();
    expect(world.last.isAborted).toBe(true);
    expect(world.clock.pending).toBe(0);
    expect(world.page.listenerCount).toBe(0);
    await world.advance(600_000);
    expect(world.exchanges).toHaveLength(1);
  });

  it("ends a delay between attempts", async () => {
    const client = await connected();
    world.last.cut();
    await settle();
    expect(client.state).toBe("reconnecting");
    client.disconnect();
    await world.advance(600_000);
    expect(world.exchanges).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });

  it("in a listener drops the remaining events of the chunk, and keeps the id", async () => {
    const client = await connected();
    const ids: string[] = [];
    client.on("tick", (_, { id }) => {
      ids.push(id);
      client.disconnect();
    });
    world.last.bytes("event: tick\nid: 42\ndata: 1\n\nevent: tick\nid: 43\ndata: 2\n\n");
    await settle();
    expect(ids).toEqual(["42"]);
    expect(client.lastEventId).toBe("42");
  });

  it("and connecting again resumes after the last id, at once", async () => {
    const client = await connected();
    world.last.event(42);
    await settle();
    client.disconnect();
    client.connect();
    await settle();
    expect(world.exchanges).toHaveLength(2);
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
    expect(world.last.query).toEqual({ log: "log-a" });
  });

  it("is final when the signal aborts", async () => {
    const abort = new AbortController();
    const client = await connected({ signal: abort.signal });
    abort.abort();
    expect(client.state).toBe("disconnected");
    client.connect();
    await world.advance(60_000);
    expect(client.state).toBe("disconnected");
    expect(world.exchanges).toHaveLength(1);
  });

  it("in a state listener, at once, leaves nothing running", async () => {
    const client = create();
    client.onStateChange((state) => state === "connecting" && client.disconnect());
    client.connect();
    await world.advance(60_000);
    expect(client.state).toBe("disconnected");
    expect(world.exchanges).toHaveLength(0);
    expect(world.clock.pending).toBe(0);
  });

  it("when it has just connected keeps the first frame from its listeners", async () => {
    const client = create();
    const types: string[] = [];
    client.on("connected", () => types.push("connected"));
    client.onStateChange((state) => state === "connected" && client.disconnect());
    client.connect();
    await settle();
    world.last.open().event(42);
    await settle();
    expect(types).toEqual([]);
    expect(client.lastEventId).toBe("");
    expect(client.state).toBe("disconnected");
  });

  it("in the listener of a loss prevents the reconnect", async () => {
    const client = await connected();
    client.onStateChange((state) => state === "reconnecting" && client.disconnect());
    world.last.cut();
    await world.advance(600_000);
    expect(world.exchanges).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });
});

describe("listeners", () => {
  it("get the data of their type, and the event with its id", async () => {
    const client = await connected();
    const got: unknown[] = [];
    client.on("tick", (data, event) => got.push([data, event]));
    client.on("tock", (data) => got.push(data));
    world.last.event(42, "tick", { n: 1 });
    await settle();
    expect(got).toEqual([[{ n: 1 }, { type: "tick", id: "42", data: { n: 1 } }]]);
  });

  it("of * get published events, and none of the service itself", async () => {
    const client = await connected();
    const types: string[] = [];
    client.on("*", (_, { type }) => types.push(type));
    world.last
      .event(42, "tick")
      .frame({ event: "error", data: '{"error_type":"slow_client","message":"","retryable":true}' })
      .frame({ event: "gap", id: 50, data: '{"reason":"expired"}' })
      .event(51, "tock")
      .close("drain", 5_000);
    await settle();
    expect(types).toEqual(["tick", "tock"]);
  });

  it("of connected, gap, error and close get the events of the service", async () => {
    const client = create();
    const got: [string, unknown, string][] = [];
    for (const type of ["connected", "gap", "error", "close"] as const) {
      client.on(type, (data, { id }) => got.push([type, data, id]));
    }
    client.connect();
    await settle();
    const gap = { requested_id: "7", oldest_id: "121", latest_id: "900", reason: "expired" };
    world.last.open({ gap: true }).frame({ event: "gap", id: 120, data: JSON.stringify(gap) });
    const error = { error_type: "log_read_failed", message: "", retryable: true };
    world.last.frame({ event: "error", data: JSON.stringify(error) }).close("max_age", 300);
    await settle();
    expect(got).toEqual([
      ["connected", expect.objectContaining({ log: "log-a", heartbeat_interval_seconds: 30 }), ""],
      ["gap", gap, "120"],
      ["error", error, "120"],
      ["close", { reason: "max_age", retry_after_ms: 300 }, "120"],
    ]);
  });

  it("are removed by the function that `on` returns", async () => {
    const client = await connected();
    let count = 0;
    const off = client.on("tick", () => count++);
    world.last.event(42);
    await settle();
    off();
    off();
    world.last.event(43);
    await settle();
    expect(count).toBe(1);
  });

  it("of `once` get one event", async () => {
    const client = await connected();
    const ids: string[] = [];
    client.once("tick", (_, { id }) => ids.push(id));
    const off = client.once("*", () => ids.push("never"));
    off();
    world.last.event(42).event(43);
    await settle();
    expect(ids).toEqual(["42"]);
  });

  it("that remove one another, or add more, take effect with the next event", async () => {
    const client = await connected();
    const calls: string[] = [];
    client.on("tick", () => {
      calls.push("first");
      off();
      client.on("tick", () => calls.push("added"));
    });
    const off = client.on("tick", () => calls.push("taken off"));
    world.last.event(42);
    await settle();
    expect(calls).toEqual(["first"]);
  });

  it("must be functions", () => {
    const client = create();
    expect(() => client.on("tick", undefined as never)).toThrow(TypeError);
  });

  it("are not called for an id alone, which still moves the last id", async () => {
    const client = await connected({ types: ["rare"] });
    const types: string[] = [];
    client.on("*", (_, { type }) => types.push(type));
    world.last.bytes(": heartbeat\nid: 57\n\n");
    await settle();
    expect(types).toEqual([]);
    expect(client.lastEventId).toBe("57");
    expect(client.log).toBe("log-a");
  });

  it("are not needed for the last id to move", async () => {
    const client = await connected();
    world.last.event(42, "unheard");
    await settle();
    expect(client.lastEventId).toBe("42");
  });

  it("of problems are called before the state changes", async () => {
    const client = create();
    const order: unknown[] = [];
    client.onError((problem: SSEProblem) => order.push([problem.code, problem.status, client.state]));
    client.onStateChange((state, _, problem) => order.push([state, problem?.code]));
    client.connect();
    await settle();
    world.last.problem(404, "unknown_channel");
    await settle();
    expect(order).toEqual([
      ["connecting", undefined],
      ["unknown_channel", 404, "connecting"],
      ["disconnected", "unknown_channel"],
    ]);
  });

  it("of retries get the problem and the delay", async () => {
    const client = create();
    const retries: [string, number][] = [];
    client.onRetry(({ problem, delayMs }) => retries.push([problem.code, delayMs]));
    client.connect();
    await settle();
    world.last.refuse();
    await settle();
    const before = world.clock.time;
    await world.nextRequest();
    expect(retries).toHaveLength(1);
    expect(retries[0]?.[0]).toBe("network");
    expect(world.last.at - before).toBeCloseTo(retries[0]?.[1] ?? 0);
  });
});

describe("an envelope", () => {
  it("is requested, and opened before listeners get the event", async () => {
    const client = await connected({ envelope: true });
    expect(world.last.query).toEqual({ envelope: "1" });
    const seen: unknown[] = [];
    client.on("*", (data, { publishedAt }) => seen.push(data, publishedAt));
    client.on("gap", (gap, { publishedAt }) => seen.push(gap.reason, publishedAt));
    const data = { id: "42", type: "tick", data: { n: 1 }, published_at: "2026-01-29T10:00:00.000Z" };
    world.last.event(42, "tick", data);
    world.last.frame({ event: "gap", data: JSON.stringify({ reason: "expired" }) });
    await settle();
    expect(seen).toEqual([{ n: 1 }, new Date("2026-01-29T10:00:00Z"), "expired", undefined]);
  });

  it("is ordinary data for a client that did not ask for one", async () => {
    const client = await connected();
    const seen: unknown[] = [];
    client.on("tick", (data, { publishedAt }) => seen.push(data, publishedAt));
    const data = { data: 1, published_at: "2026-01-29T10:00:00.000Z" };
    world.last.event(42, "tick", data);
    await settle();
    expect(seen).toEqual([data, undefined]);
  });
});

describe("event types", () => {
  it("give listeners the data of their type", async () => {
    const client = new SSEClient<{ tick: { n: number }; tock: string }>({}, world.environment);
    const sum: number[] = [];
    client.on("tick", ({ n }, { type }: { type: "tick" }) => sum.push(n, type.length));
    client.on("*", (data: { n: number } | string) => sum.push(typeof data === "string" ? 0 : data.n));
    client.on("close", ({ retry_after_ms }) => sum.push(retry_after_ms));
    // @ts-expect-error -- these events have no such type
    client.on("tack", () => sum.push(-1));
    client.connect();
    await settle();
    world.last.open().event(42, "tick", { n: 7 });
    await settle();
    expect(sum).toEqual([7, 4, 7]);
  });
});
