import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient, type SSEProblem } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { ClientWorld, settle, type Exchange } from "../../support/client-world.ts";

let world: ClientWorld;

beforeEach(() => {
  world = new ClientWorld();
});

interface Watched {
  readonly client: SSEClient;
  readonly retries: SSEProblem[];
  readonly errors: SSEProblem[];
}

async function connect(options: SSEClientOptions = {}): Promise<Watched> {
  const client = new SSEClient(options, world.environment);
  const retries: SSEProblem[] = [];
  const errors: SSEProblem[] = [];
  client.onRetry(({ problem }) => retries.push(problem));
  client.onError((problem) => errors.push(problem));
  client.connect();
  await settle();
  return { client, retries, errors };
}

async function connected(options: SSEClientOptions = {}): Promise<Watched> {
  const watched = await connect(options);
  world.last.open();
  await settle();
  return watched;
}

function fail(): never {
  throw new Error("broken");
}

describe("a listener that throws", () => {
  it("is reported, and other listeners and the stream go on", async () => {
    const { client } = await connected();
    const got: string[] = [];
    const broken = new Error("broken");
    client.on("tick", () => {
      throw broken;
    });
    client.on("tick", (_, { id }) => got.push(`tick ${id}`));
    client.on("*", (_, { id }) => got.push(`* ${id}`));
    world.last.event(42).event(43);
    await settle();
    expect(got).toEqual(["tick 42", "* 42", "tick 43", "* 43"]);
    expect(world.reported).toEqual([broken, broken]);
    expect(client.state).toBe("connected");
    expect(client.lastEventId).toBe("43");
  });

  it("of states, retries or problems is reported, and the client goes on", async () => {
    const { client } = await connect();
    client.onStateChange(fail);
    client.onRetry(fail);
    client.onError(fail);
    world.last.refuse();
    await world.nextRequest();
    world.last.problem(404, "unknown_channel");
    await settle();
    expect(client.state).toBe("disconnected");
    expect(world.reported).toHaveLength(4);
  });
});

describe("frames", () => {
  it("whose data is not JSON give listeners the text", async () => {
    const { client } = await connected();
    const got: unknown[] = [];
    client.on("tick", (data) => got.push(data));
    world.last
      .frame({ event: "tick", id: 42, data: "hello\nworld" })
      .frame({ event: "tick", id: 43, data: "" });
    await settle();
    expect(got).toEqual(["hello\nworld", ""]);
  });

  it("of the service that make no sense are harmless", async () => {
    const { client } = await connect();
    world.last.accept();
    for (const data of ["null", "[]", "12", "nonsense", '{"heartbeat_interval_seconds":"x","log":5}']) {
      world.last.frame({ event: "connected", data });
      world.last.frame({ event: "gap", id: 1, data });
      world.last.frame({ event: "error", data });
    }
    world.last.event(42);
    await settle();
    expect(client.state).toBe("connected");
    expect(client.lastEventId).toBe("42");
    world.last.frame({ event: "close", data: "nonsense" });
    await settle();
    expect(client.state).toBe("reconnecting");
  });

  it("without end are given up, and the client reconnects", async () => {
    const { retries } = await connected();
    for (let part = 0; part < 20; part++) {
      world.last.bytes(`data: ${"x".repeat(64 * 1024)}\n`);
    }
    await settle();
    expect(retries.map(({ code }) => code)).toEqual(["frame_too_large"]);
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("41");
  });

  it.each([
    ["without a name", "x".repeat(64 * 1024)],
    ["of comment", `:${" ".repeat(64 * 1024)}`],
    ["of spaces", " ".repeat(64 * 1024)],
  ])("that are an endless line %s are given up before the stream opens too", async (_, part) => {
    const { client, retries } = await connect();
    world.last.accept();
    for (let sent = 0; sent < 20; sent++) {
      world.last.bytes(part);
    }
    await settle();
    expect(retries.map(({ code, final }) => [code, final])).toEqual([["frame_too_large", false]]);
    expect(client.state).toBe("reconnecting");
    await world.nextRequest();
  });

  it("that send a byte now and then and never end are given up after two minutes", async () => {
    const { client, retries } = await connected();
    for (let seconds = 0; seconds < 119; seconds++) {
      world.last.bytes("x");
      await world.advance(1_000);
    }
    expect(client.state).toBe("connected");
    world.last.bytes("x");
    await world.advance(1_100);
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
  });

  it("that take less than two minutes each are accepted, however many follow each other", async () => {
    const { client, retries } = await connected();
    const got: unknown[] = [];
    client.on("tick", (data) => got.push(data));
    for (let n = 0; n < 5; n++) {
      world.last.bytes(`event: tick\nid: ${42 + n}\n`);
      await world.advance(70_000);
      world.last.bytes(`data: ${n}\n\n`);
      await world.advance(10);
    }
    expect(got).toEqual([0, 1, 2, 3, 4]);
    expect(retries).toEqual([]);
  });

  it("that are not UTF-8 are read with replacement characters", async () => {
    const { client } = await connected();
    const got: unknown[] = [];
    client.on("tick", (data) => got.push(data));
    world.last.bytes(Uint8Array.from([...Buffer.from("event: tick\nid: 42\ndata: a"), 0xff, 0x0a, 0x0a]));
    await settle();
    expect(got).toEqual(["a\uFFFD"]);
  });
});

describe("a refusal", () => {
  it.each([400, 401, 403, 404, 405, 406, 410, 418])("of %i is final", async (status) => {
    const { client, errors, retries } = await connect();
    world.last.problem(status, "some_code");
    await world.advance(3_600_000);
    expect(errors.map(({ code, status: told, final, message }) => ({ code, told, final, message }))).toEqual([
      { code: "some_code", told: status, final: true, message: "About some_code." },
    ]);
    expect(retries).toEqual([]);
    expect(client.state).toBe("disconnected");
    expect(world.exchanges).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
    expect(world.page.listenerCount).toBe(0);
  });

  it.each([204, 206, 408, 429, 500, 502, 503, 504, 520])("of %i is retried", async (status) => {
    const { client, errors, retries } = await connect();
    world.last.answer(status, { "Content-Type": "text/plain" });
    await world.nextRequest();
    expect(errors).toEqual([]);
    expect(retries.map((problem) => [problem.code, problem.status])).toEqual([[`http_${status}`, status]]);
    world.last.open();
    await settle();
    expect(client.state).toBe("connected");
  });

  it("lists all mistakes", async () => {
    const { errors } = await connect();
    const problem = {
      code: "invalid_parameter",
      detail: "types: wrong",
      errors: [{ field: "types", detail: "wrong" }],
    };
    world.last.answer(400, { "Content-Type": "application/problem+json" }, JSON.stringify(problem));
    await settle();
    expect(errors[0]?.errors).toEqual(problem.errors);
  });

  it("whose body is not a problem, not JSON or endless is still a refusal", async () => {
    for (const body of ["{", "null", '"x"', "[]", `{"code":"${"x".repeat(1_000_000)}"}`]) {
      world = new ClientWorld();
      const { errors } = await connect();
      world.last.answer(403, { "Content-Type": "application/json" }, body);
      await settle();
      expect(errors.map(({ code }) => code)).toEqual(["http_403"]);
    }
  });

  it("whose body never arrives is given up in time", async () => {
    const { retries } = await connect();
    const stuck = new ReadableStream<Uint8Array>();
    world.last.answer(404, { "Content-Type": "application/problem+json" }, stuck as unknown as string);
    await world.nextRequest();
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
  });

  it("that a listener answers with connect() in a loop causes no attempt without a delay", async () => {
    world.onRequest = (exchange) => exchange.problem(403, "forbidden");
    const { client } = await connect();
    client.onStateChange((state) => state === "disconnected" && client.connect());
    client.connect();
    await world.advance(60_000);
    expect(world.exchanges.length).toBeGreaterThan(2);
    expect(world.exchanges.length).toBeLessThan(30);
    expect(Math.min(...world.pauses.slice(1))).toBeGreaterThanOrEqual(100);
  });

  it("is forgotten after a while, and then connect() makes an attempt at once", async () => {
    const { client } = await connect();
    world.last.problem(401, "unauthorized");
    await world.advance(5_000);
    client.connect();
    await settle();
    expect(world.exchanges).toHaveLength(2);
  });
});

describe("an answer that is not an event stream", () => {
  it.each([["text/html; charset=utf-8"], ["application/json"], ["text/event-stream-not"], [""]])(
    "(%s) is retried",
    async (type) => {
      const { errors, retries } = await connect();
      // A redirect to a login page, after fetch has followed it.
      world.last.answer(200, type === "" ? {} : { "Content-Type": type }, "<!doctype html>");
      await world.nextRequest();
      expect(errors).toEqual([]);
      expect(retries.map(({ code, status }) => [code, status])).toEqual([["content_type", 200]]);
    },
  );

  it("is distinguished from an event stream whose content type is written differently", async () => {
    const { client } = await connect();
    world.last.accept({ "Content-Type": "Text/Event-Stream ;charset=UTF-8" }).open();
    await settle();
    expect(client.state).toBe("connected");
  });

  it("without a body is retried", async () => {
    await connect();
    world.last.answer(200, { "Content-Type": "text/event-stream" });
    await world.nextRequest();
    expect(world.exchanges).toHaveLength(2);
  });
});

describe("a server that accepts", () => {
  it("and never answers is given up after 15 s", async () => {
    const { retries } = await connect();
    const silent = world.last;
    await world.advance(14_900);
    expect(silent.isAborted).toBe(false);
    await world.nextRequest();
    expect(silent.isAborted).toBe(true);
    expect(world.last.at).toBeGreaterThanOrEqual(15_100);
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
  });

  it("and answers with headers but no stream is given up after 15 s", async () => {
    const { retries } = await connect();
    world.last.accept();
    await world.nextRequest();
    expect(world.last.at).toBeGreaterThanOrEqual(15_100);
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
  });

  it.each([
    ["spaces", " "],
    ["blank lines", "\n"],
    ["comments", ": wait\n\n"],
    ["errors", "event: error\ndata: {}\n\n"],
  ])("and sends only %s is given up after 15 s", async (_, part) => {
    const { client, retries } = await connect();
    world.last.accept();
    for (let seconds = 0; seconds < 14; seconds++) {
      world.last.bytes(part);
      await world.advance(1_000);
    }
    expect(client.state).toBe("connecting");
    await world.advance(1_000);
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
    expect(client.state).toBe("reconnecting");
  });

  it("and answers after it was given up is ignored", async () => {
    world.obeysSignal = false;
    const { client } = await connect();
    const late = world.last;
    await world.advance(15_000);
    const states: string[] = [];
    client.onStateChange((state) => states.push(state));
    late.open().event(42);
    await settle();
    expect(states).toEqual([]);
    expect(client.lastEventId).toBe("");
  });
});

describe("a clock that jumps", () => {
  it.each([86_400_000, -86_400_000])("by %i ms disturbs neither a stream nor its watchdog", async (jump) => {
    const { client } = await connected();
    world.clock.epoch += jump;
    world.last.heartbeat();
    await world.advance(70_000);
    expect(client.state).toBe("connected");
    await world.advance(20_000);
    expect(client.state).not.toBe("connected");
  });

  it.each([86_400_000, -86_400_000])("by %i ms does not disturb a delay", async (jump) => {
    await connected();
    world.last.cut();
    await settle();
    world.clock.epoch += jump;
    await world.nextRequest(1_500);
    expect(world.exchanges).toHaveLength(2);
  });

  it("because the machine slept makes a page that becomes visible check its stream at once", async () => {
    const { client } = await connected();
    world.clock.epoch += 3_600_000;
    world.page.setHidden(true);
    world.page.setHidden(false);
    await settle();
    expect(client.state).toBe("reconnecting");
    await world.nextRequest(1_500);
    expect(world.exchanges).toHaveLength(2);
  });
});

describe("any server behaviour", () => {
  it.each<[string, (exchange: Exchange) => void]>([
    ["refuses every connection", (exchange) => exchange.refuse()],
    ["answers 500", (exchange) => exchange.answer(500)],
    ["answers 503 with Retry-After: 0", (exchange) => exchange.problem(503, "limit", { "Retry-After": "0" })],
    ["answers HTML", (exchange) => exchange.answer(200, { "Content-Type": "text/html" }, "<p>")],
    ["opens and ends", (exchange) => exchange.open().end()],
    ["opens and cuts", (exchange) => exchange.open().cut()],
    ["accepts and ends", (exchange) => exchange.accept().end()],
    ["sends an event and ends", (exchange) => exchange.open().event(42).end()],
    ["sends a line without end", (exchange) => exchange.accept().bytes("x".repeat(1024 * 1024 + 1))],
    ["closes without a delay", (exchange) => exchange.open().frame({ event: "close", data: "{}" })],
  ])("causes fewer than 20 attempts a minute, each after a delay: it %s", async (_, act) => {
    world.onRequest = act;
    const { client } = await connect();
    await world.advance(60_000);
    expect(client.state).toBe("reconnecting");
    expect(world.exchanges.length).toBeGreaterThan(2);
    expect(world.exchanges.length).toBeLessThan(20);
    expect(Math.min(...world.pauses)).toBeGreaterThanOrEqual(100);
  });
});
