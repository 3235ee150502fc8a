import { beforeEach, describe, expect, it } from "vitest";

import { Publisher, type NewEvent, type PublisherOptions } from "../../../src/client/publisher.ts";
import { ClientWorld, settle, type Exchange } from "../../support/client-world.ts";

let world: ClientWorld;

beforeEach(() => {
  world = new ClientWorld();
});

const create = (options: Partial<PublisherOptions> = {}): Publisher =>
  new Publisher({ url: "https://sse.example/api/publish", token: "secret", ...options }, world.environment);

type Sent = NewEvent & { readonly key: string };

const sentIn = ({ init }: Exchange): Sent[] => JSON.parse(String(init.body)) as Sent[];

const json = { "Content-Type": "application/json" };

/** Answers like the service, with ids that start at 42. */
function accept(exchange: Exchange): void {
  const events = sentIn(exchange).map(({ type }, index) => ({
    id: String(42 + index),
    type,
    duplicate: false,
  }));
  exchange.answer(200, json, JSON.stringify({ events }));
}

/** A service that stores events and recognises their keys. */
class Store {
  readonly stored: Sent[] = [];

  take(exchange: Exchange): void {
    const events = sentIn(exchange).map((event) => {
      const known = this.stored.findIndex(({ key }) => key === event.key);
      const index = known >= 0 ? known : this.stored.push(event) - 1;
      return { id: String(index + 1), type: event.type, duplicate: known >= 0 };
    });
    exchange.answer(200, json, JSON.stringify({ events }));
  }
}

/** The error that a publish rejects with. Undefined if it resolves. */
const failureOf = (publish: Promise<unknown>): Promise<unknown> =>
  publish.then(
    () => undefined,
    (error: unknown) => error,
  );

const tick = (n: number): NewEvent => ({ type: "tick", data: { n } });

describe("publishing", () => {
  it("posts fields beside the type, and text as it is", async () => {
    world.onRequest = accept;
    await create().publish([
      { text: "1.0", fields: { tenant_id: "a", user: undefined }, key: "k" },
      { type: "tick", data: 1, fields: { project_id: 7 }, agent_id: 8, key: "l" },
    ]);
    expect(sentIn(world.last)).toEqual([
      { text: "1.0", tenant_id: "a", key: "k" },
      { type: "tick", data: 1, project_id: 7, agent_id: 8, key: "l" },
    ]);
  });

  it("posts an event with a random key, and returns its receipt", async () => {
    world.onRequest = accept;
    const receipt = await create().publish({ type: "tick", data: { n: 1 }, project_id: 7 });
    expect(receipt).toEqual({ id: "42", type: "tick", duplicate: false });
    expect(world.last.url.href).toBe("https://sse.example/api/publish");
    expect(world.last.init.method).toBe("POST");
    expect(Object.fromEntries(world.last.headers)).toEqual({
      authorization: "Bearer secret",
      "content-type": "application/json",
    });
    expect(sentIn(world.last)).toEqual([
      {
        type: "tick",
        data: { n: 1 },
        project_id: 7,
        key: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      },
    ]);
    expect(world.clock.pending).toBe(0);
  });

  it("posts a batch in one request, in order, and returns its receipts", async () => {
    world.onRequest = accept;
    const receipts = await create({ channel: "board" }).publish([tick(1), tick(2), tick(3)]);
    expect(receipts.map(({ id }) => id)).toEqual(["42", "43", "44"]);
    expect(world.exchanges).toHaveLength(1);
    expect(world.last.query).toEqual({ channel: "board" });
    expect(new Set(sentIn(world.last).map(({ key }) => key)).size).toBe(3);
  });

  it("of a batch of one returns an array of one", async () => {
    world.onRequest = accept;
    expect(await create().publish([tick(1)])).toHaveLength(1);
  });

  it("of an empty array makes no request", async () => {
    expect(await create().publish([])).toEqual([]);
    expect(world.exchanges).toEqual([]);
  });

  it("keeps the key of an event", async () => {
    world.onRequest = accept;
    await create().publish([{ ...tick(1), key: "mine" }, tick(2)]);
    expect(sentIn(world.last)[0]?.key).toBe("mine");
  });

  it("refuses data that JSON cannot hold, before anything is sent", async () => {
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    await expect(create().publish({ type: "tick", data: circle })).rejects.toThrow(TypeError);
    await expect(create().publish({ type: "tick", data: 1n })).rejects.toThrow(TypeError);
    expect(world.exchanges).toEqual([]);
  });
});

describe("a publish that fails", () => {
  it.each<[string, (exchange: Exchange) => void]>([
    ["finds no connection", (exchange) => exchange.refuse()],
    ["is answered 408", (exchange) => exchange.answer(408)],
    ["is answered 429", (exchange) => exchange.problem(429, "rate_limited")],
    ["is answered 502", (exchange) => exchange.answer(502)],
    ["is answered 503", (exchange) => exchange.problem(503, "hub_unreachable")],
    ["is answered 504", (exchange) => exchange.answer(504)],
  ])("because it %s is repeated with the same keys, at growing random intervals", async (_, act) => {
    world.onRequest = act;
    const receipts = create().publish([tick(1), tick(2)]);
    await settle();
    for (let attempt = 0; attempt < 3; attempt++) {
      await world.nextRequest();
    }
    world.onRequest = accept;
    await world.nextRequest();
    expect(await receipts).toHaveLength(2);
    expect(new Set(world.exchanges.map(({ init }) => init.body)).size).toBe(1);
    const bounds = [1_500, 2_900, 5_700, 11_300];
    expect(world.pauses.every((ms, attempt) => ms >= 100 && ms <= (bounds[attempt] ?? 0))).toBe(true);
    expect(world.clock.pending).toBe(0);
  });

  it("obeys Retry-After, plus up to 20 %", async () => {
    const receipt = create().publish(tick(1));
    await settle();
    world.last.problem(503, "storage_full", { "Retry-After": "10" });
    world.onRequest = accept;
    await world.nextRequest();
    await receipt;
    expect(world.pauses[0]).toBeGreaterThanOrEqual(10_000);
    expect(world.pauses[0]).toBeLessThanOrEqual(12_000);
  });

  it.each<[string, (exchange: Exchange) => void]>([
    ["the answer is lost", (exchange) => exchange.refuse()],
    ["the answer is cut", (exchange) => exchange.accept(json).bytes('{"events":[{"id"').cut()],
    ["a gateway gives up", (exchange) => exchange.answer(504)],
  ])("after it was stored, since %s, is not stored twice", async (_, lose) => {
    const store = new Store();
    world.onRequest = (exchange) => {
      const silent = { init: exchange.init, answer: () => {} } as unknown as Exchange;
      store.take(silent);
      lose(exchange);
    };
    const receipts = create().publish([tick(1), tick(2)]);
    await settle();
    world.onRequest = (exchange) => store.take(exchange);
    await world.nextRequest();
    expect(await receipts).toEqual([
      { id: "1", type: "tick", duplicate: true },
      { id: "2", type: "tick", duplicate: true },
    ]);
    expect(store.stored.map(({ data }) => data)).toEqual([{ n: 1 }, { n: 2 }]);
  });

  it("because no answer arrives is repeated after 10 s", async () => {
    const receipt = create().publish(tick(1));
    await settle();
    world.onRequest = accept;
    await world.nextRequest();
    expect(world.exchanges[0]?.isAborted).toBe(true);
    expect(world.last.at).toBeGreaterThanOrEqual(10_100);
    expect(await receipt).toMatchObject({ id: "42" });
  });

  it.each([400, 403, 404, 409, 413, 415, 500])("with %i is not repeated", async (status) => {
    world.onRequest = (exchange) =>
      exchange.answer(
        status,
        { "Content-Type": "application/problem+json" },
        JSON.stringify({
          code: "some_code",
          detail: "Why.",
          errors: [{ index: 0, field: "type", detail: "No." }],
        }),
      );
    await expect(create().publish(tick(1))).rejects.toMatchObject({
      name: "SSEProblem",
      code: "some_code",
      status,
      message: "Why.",
      final: true,
      errors: [{ index: 0, field: "type", detail: "No." }],
    });
    expect(world.exchanges).toHaveLength(1);
  });

  it("because the service has no publish token is not repeated, although it is a 503", async () => {
    world.onRequest = (exchange) => exchange.problem(503, "not_configured");
    await expect(create().publish(tick(1))).rejects.toMatchObject({ code: "not_configured" });
    expect(world.exchanges).toHaveLength(1);
  });

  it("is given up after 60 s with the last problem, even during a delay", async () => {
    world.onRequest = (exchange) => exchange.problem(503, "draining", { "Retry-After": "25" });
    const failed = failureOf(create().publish(tick(1)));
    await world.advance(60_000);
    expect(await failed).toMatchObject({ code: "draining", status: 503 });
    expect(world.exchanges.length).toBeLessThanOrEqual(3);
    expect(world.clock.pending).toBe(0);
  });

  it.each([Infinity, Number.NaN, -1, 86_401])("cannot be given up after %s s", (seconds) => {
    expect(() => create({ giveUpAfterSeconds: seconds })).toThrow(
      `giveUpAfterSeconds: expected 0 to 86400, got ${seconds}`,
    );
  });

  it("is given up after `giveUpAfterSeconds`, and with 0 after the first attempt", async () => {
    world.onRequest = (exchange) => exchange.refuse();
    const once = failureOf(create({ giveUpAfterSeconds: 0 }).publish(tick(1)));
    await world.advance(10);
    expect(await once).toMatchObject({
      code: "network",
    });
    expect(world.exchanges).toHaveLength(1);

    const patient = create({ giveUpAfterSeconds: 3_600 }).publish(tick(1));
    await world.advance(3_000_000);
    world.onRequest = accept;
    await world.nextRequest();
    expect(await patient).toMatchObject({ id: "42" });
  });

  it.each<[string, string]>([
    ["no JSON", "<p>"],
    ["no receipts", "{}"],
    ["too few receipts", '{"events":[]}'],
  ])("fails if a 200 has %s", async (_, body) => {
    world.onRequest = (exchange) => exchange.answer(200, json, body);
    const failed = failureOf(create({ giveUpAfterSeconds: 1 }).publish(tick(1)));
    await world.advance(2_000);
    expect(await failed).toMatchObject({ code: "answer" });
  });
});

describe("a signal", () => {
  it("ends an attempt", async () => {
    const abort = new AbortController();
    const failed = failureOf(create().publish(tick(1), { signal: abort.signal }));
    await settle();
    abort.abort(new Error("enough"));
    expect(await failed).toMatchObject({ message: "enough" });
    expect(world.last.isAborted).toBe(true);
    expect(world.clock.pending).toBe(0);
  });

  it("ends a delay", async () => {
    world.onRequest = (exchange) => exchange.refuse();
    const abort = new AbortController();
    const failed = failureOf(create().publish(tick(1), { signal: abort.signal }));
    await settle();
    abort.abort(new Error("enough"));
    expect(await failed).toMatchObject({ message: "enough" });
    await world.advance(60_000);
    expect(world.exchanges).toHaveLength(1);
    expect(world.clock.pending).toBe(0);
  });

  it("that has already aborted sends nothing", async () => {
    await expect(
      create().publish(tick(1), { signal: AbortSignal.abort(new Error("enough")) }),
    ).rejects.toThrow("enough");
    expect(world.exchanges).toEqual([]);
  });
});

describe("the token of a publisher", () => {
  it("that is a function is called before each attempt, and once more after a 401", async () => {
    const asked: boolean[] = [];
    const publisher = create({
      token: (refresh) => {
        asked.push(refresh);
        return Promise.resolve(`token-${asked.length}`);
      },
    });
    const receipt = publisher.publish(tick(1));
    await settle();
    world.last.refuse();
    await world.nextRequest();
    world.last.problem(401, "unauthorized");
    world.onRequest = accept;
    await world.nextRequest();
    await receipt;
    expect(asked).toEqual([false, false, true]);
    expect(world.last.headers.get("Authorization")).toBe("Bearer token-3");
  });

  it("that is refused twice, or is a string, ends the call", async () => {
    world.onRequest = (exchange) => exchange.problem(401, "unauthorized");
    expect(await failureOf(create().publish(tick(1)))).toMatchObject({ status: 401 });
    expect(world.exchanges).toHaveLength(1);
    const failed = failureOf(create({ token: () => "bad" }).publish(tick(1)));
    await world.advance(2_000);
    expect(await failed).toMatchObject({ status: 401 });
    expect(world.exchanges).toHaveLength(3);
  });
});
