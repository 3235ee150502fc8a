import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient, type SSEProblem } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { ClientWorld, settle, type Exchange } from "../../support/client-world.ts";

let world: ClientWorld;
let asked: boolean[];
let errors: SSEProblem[];

beforeEach(() => {
  world = new ClientWorld();
  asked = [];
  errors = [];
});

/** A token function that counts its calls. */
const token = (refresh: boolean): Promise<string> => {
  asked.push(refresh);
  return Promise.resolve(`token-${asked.length}`);
};

async function connect(options: SSEClientOptions = { token }): Promise<SSEClient> {
  const client = new SSEClient(options, world.environment);
  client.onError((problem) => errors.push(problem));
  client.connect();
  await settle();
  return client;
}

const authorizations = (): (string | null)[] =>
  world.exchanges.map(({ headers }) => headers.get("Authorization"));

const expiring = '{"error_type":"token_expiring","message":"","retryable":true}';

describe("a token", () => {
  it("that is a string is sent with each attempt", async () => {
    await connect({ token: "secret" });
    world.last.refuse();
    await world.nextRequest();
    expect(authorizations()).toEqual(["Bearer secret", "Bearer secret"]);
  });

  it("that is a function is called before each attempt", async () => {
    await connect();
    world.last.open().cut();
    await world.nextRequest();
    world.last.refuse();
    await world.nextRequest();
    expect(authorizations()).toEqual(["Bearer token-1", "Bearer token-2", "Bearer token-3"]);
    expect(asked).toEqual([false, false, false]);
  });

  it.each([[undefined], [null], [""]])("that is %j is not sent", async (value) => {
    await connect({ token: () => value });
    expect(authorizations()).toEqual([null]);
  });

  it("that is a string and is refused stops the client", async () => {
    const client = await connect({ token: "secret" });
    world.last.problem(401, "unauthorized");
    await world.advance(600_000);
    expect(client.state).toBe("disconnected");
    expect(errors.map(({ code, status }) => [code, status])).toEqual([["unauthorized", 401]]);
    expect(world.exchanges).toHaveLength(1);
  });

  it("that is a function and is refused is fetched once more, after a delay", async () => {
    const client = await connect();
    world.last.problem(401, "unauthorized");
    await world.nextRequest(1_500);
    expect(world.pauses[0]).toBeGreaterThanOrEqual(100);
    expect(asked).toEqual([false, true]);
    expect(errors).toEqual([]);
    world.last.problem(401, "unauthorized");
    await world.advance(600_000);
    expect(client.state).toBe("disconnected");
    expect(errors.map(({ status }) => status)).toEqual([401]);
    expect(world.exchanges).toHaveLength(2);
  });

  it("that was accepted in between is fetched once more again", async () => {
    await connect();
    world.last.problem(401, "unauthorized");
    await world.nextRequest();
    world.last.open().cut();
    await world.nextRequest();
    world.last.problem(401, "unauthorized");
    await world.nextRequest();
    expect(asked).toEqual([false, true, false, true]);
    expect(errors).toEqual([]);
  });

  it.each<[string, () => never | Promise<never>]>([
    [
      "throws",
      () => {
        throw new Error("no network");
      },
    ],
    ["rejects", () => Promise.reject(new Error("no network"))],
  ])("function that %s fails the attempt, and is called again later", async (_, failing) => {
    let calls = 0;
    const client = await connect({
      token: () => {
        calls++;
        return calls < 3 ? failing() : "secret";
      },
    });
    const problems: [string, string][] = [];
    client.onRetry(({ problem }) => problems.push([problem.code, problem.message]));
    await world.nextRequest();
    expect(problems).toEqual([["token", "no network"]]);
    expect(authorizations()).toEqual(["Bearer secret"]);
    expect(errors).toEqual([]);
  });

  it("function that never answers is given up after 15 s, and its late answer is not used", async () => {
    let answer: ((value: string) => void) | undefined;
    const client = await connect({
      token: () =>
        new Promise((resolve) => {
          answer ??= resolve;
        }),
    });
    await world.advance(15_000);
    expect(client.state).toBe("reconnecting");
    answer?.("late");
    await settle();
    expect(world.exchanges).toEqual([]);
  });

  it("that has expired according to `close` is fetched with `refresh`", async () => {
    await connect();
    world.last.open().close("token_expired", 300);
    await world.nextRequest();
    expect(asked).toEqual([false, true]);
  });
});

describe("a token that is about to expire", () => {
  it("is replaced without a lost or doubled event: the old stream delivers until the new one is open", async () => {
    const client = await connect();
    const ids: string[] = [];
    const states: string[] = [];
    client.on("*", (_, { id }) => ids.push(id));
    const old = world.last.open();
    await settle();
    client.onStateChange((state) => states.push(state));
    old.event(42).frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    expect(asked).toEqual([false, true]);
    const fresh = world.last;
    expect(fresh).not.toBe(old);
    expect(fresh.headers.get("Authorization")).toBe("Bearer token-2");
    expect(fresh.headers.get("Last-Event-ID")).toBe("42");

    old.event(43).event(44);
    await settle();
    fresh.open({ at: "42" }).event(43).event(44).event(45);
    await settle();
    old.event(45).event(46);
    fresh.event(46);
    await settle();
    expect(ids).toEqual(["42", "43", "44", "45", "46"]);
    expect(old.isAborted).toBe(true);
    expect(fresh.isAborted).toBe(false);
    expect(states).toEqual([]);
    expect(client.lastEventId).toBe("46");
  });

  it("keeps the last id when the new stream opens at an earlier one", async () => {
    const client = await connect();
    const old = world.last.open();
    await settle();
    old.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    old.event(42);
    await settle();
    world.last.open({ at: "41" });
    await settle();
    expect(client.lastEventId).toBe("42");
    world.last.cut();
    await world.nextRequest();
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
  });

  it("opens one new stream, however often the service announces the end", async () => {
    await connect();
    world.last.open();
    await settle();
    world.last.frame({ event: "error", data: expiring }).frame({ event: "error", data: expiring });
    await world.advance(10_000);
    world.exchanges[0]?.frame({ event: "error", data: expiring });
    await settle();
    expect(world.exchanges).toHaveLength(2);
  });

  it("is kept if it is a string, since there is no other one", async () => {
    await connect({ token: "secret" });
    world.last.open();
    await settle();
    world.last.frame({ event: "error", data: expiring });
    await world.advance(60_000);
    expect(world.exchanges).toHaveLength(1);
  });

  it.each([6_000, 25_000])(
    "as soon as it is used causes no loop: tokens of %d ms cause one connect each",
    async (lifeMs) => {
      world.onRequest = (exchange) => {
        exchange.open().frame({ event: "error", data: expiring });
        world.clock.after(lifeMs, () => exchange.close("token_expired", 500));
      };
      await connect();
      await world.advance(120_000);
      const [handOver, ...others] = world.pauses;
      expect(handOver).toBeLessThanOrEqual(1_500);
      expect(others.length).toBe(Math.floor((120_000 - (handOver ?? 0)) / (lifeMs + 500)));
      expect(new Set(others)).toEqual(new Set([lifeMs + 500]));
      expect(asked.slice(0, 3)).toEqual([false, true, true]);
      expect(errors).toEqual([]);
    },
  );

  it("is replaced each time if it was valid for a while", async () => {
    world.onRequest = (exchange) => {
      exchange.open();
      world.clock.after(20_000, () => exchange.frame({ event: "error", data: expiring }));
    };
    const client = await connect();
    const states: string[] = [];
    client.onStateChange((state) => states.push(state));
    await world.advance(70_000);
    expect(world.exchanges).toHaveLength(4);
    expect(states).toEqual([]);
    expect(world.exchanges.map(({ isAborted }) => isAborted)).toEqual([true, true, true, false]);
  });

  it.each<[string, (fresh: Exchange) => void, number, number]>([
    ["cannot be reached", (fresh) => fresh.refuse(), 100, 2_900],
    ["is refused for now", (fresh) => fresh.problem(503, "limit", { "Retry-After": "5" }), 5_000, 6_000],
  ])("is fetched again while the old stream delivers, if the new one %s", async (_, fail, least, most) => {
    const client = await connect();
    const states: string[] = [];
    const old = world.last.open();
    await settle();
    client.onStateChange((state) => states.push(state));
    old.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    fail(world.last);
    await world.nextRequest(most);
    expect(world.pauses[1]).toBeGreaterThanOrEqual(least);
    expect(old.isAborted).toBe(false);
    world.last.open();
    await settle();
    expect(old.isAborted).toBe(true);
    expect(states).toEqual([]);
    expect(asked).toEqual([false, true, true]);
  });

  it("keeps the old stream if the new one is refused", async () => {
    const client = await connect();
    const old = world.last.open();
    await settle();
    old.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    world.last.problem(401, "unauthorized");
    await settle();
    old.event(42);
    await settle();
    expect(client.state).toBe("connected");
    expect(client.lastEventId).toBe("42");
    expect(errors).toEqual([]);
    old.close("token_expired", 300);
    await world.nextRequest();
    expect(asked).toEqual([false, true, true]);
  });

  it("keeps the attempt at the new stream if the old stream ends first", async () => {
    const client = await connect();
    const old = world.last.open();
    await settle();
    old.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    old.close("token_expired", 300);
    await settle();
    expect(client.state).toBe("reconnecting");
    world.last.open({ at: "41" });
    await settle();
    expect(client.state).toBe("connected");
    await world.advance(60_000);
    expect(world.exchanges).toHaveLength(2);
  });

  it("does not bring back a client that is kicked meanwhile", async () => {
    const client = await connect();
    const old = world.last.open();
    await settle();
    old.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    old.close("kicked", 5_000);
    await world.advance(60_000);
    expect(client.state).toBe("disconnected");
    expect(errors.map(({ code }) => code)).toEqual(["kicked"]);
    expect(world.exchanges.map(({ isAborted }) => isAborted)).toEqual([true, true]);
  });

  it("closes both streams on disconnect", async () => {
    const client = await connect();
    world.last.open();
    await settle();
    world.last.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    client.disconnect();
    await settle();
    expect(world.exchanges.map(({ isAborted }) => isAborted)).toEqual([true, true]);
    expect(world.clock.pending).toBe(0);
  });
});
