import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient, type SSEProblem } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { ClientWorld, FakeBrowser, settle, type Exchange } from "../../support/client-world.ts";

let world: ClientWorld;
let asked: boolean[];
let retries: SSEProblem[];
let errors: SSEProblem[];

beforeEach(() => {
  world = new ClientWorld();
  asked = [];
  retries = [];
  errors = [];
});

/** A token function that counts its calls. */
const token = (refresh: boolean): Promise<string> => {
  asked.push(refresh);
  return Promise.resolve(`token-${asked.length}`);
};

async function connect(options: SSEClientOptions = {}): Promise<SSEClient> {
  const client = new SSEClient({ token, ticket: true, ...options }, world.environment);
  client.onRetry(({ problem }) => retries.push(problem));
  client.onError((problem) => errors.push(problem));
  client.connect();
  await settle();
  return client;
}

const json = { "Content-Type": "application/json" };

async function sell(ticket: string, exchange = world.last): Promise<void> {
  const body = { ticket, expires_in: 30, expires_at: "2026-11-22T12:00:30Z" };
  exchange.answer(200, json, JSON.stringify(body));
  await settle();
}

const carried = ({ init, url, headers }: Exchange): unknown[] => [
  init.method ?? "GET",
  `${url.pathname}${url.search}`,
  headers.get("Authorization"),
];

const expiring = '{"error_type":"token_expiring","message":"","retryable":true}';

describe("a ticket", () => {
  it("is bought with the token before each attempt, and replaces it in the request", async () => {
    await connect({ url: "https://sse.example/live/events?tenant=1", types: ["tick"] });
    await sell("one");
    world.last.open().cut();
    await world.nextRequest();
    await sell("two");
    expect(world.exchanges.map(carried)).toEqual([
      ["POST", "/live/tickets", "Bearer token-1"],
      ["GET", "/live/events?tenant=1&types=tick&ticket=one", null],
      ["POST", "/live/tickets", "Bearer token-2"],
      ["GET", "/live/events?tenant=1&types=tick&ticket=two&log=log-a", null],
    ]);
    expect(new Set(world.exchanges.map(({ url }) => url.origin))).toEqual(new Set(["https://sse.example"]));
    expect(world.last.headers.get("Last-Event-ID")).toBe("41");
  });

  it("is bought from another URL if the option names one, with cookies and without a token", async () => {
    await connect({ token: undefined, ticket: "/my/ticket", withCredentials: true });
    await sell("one");
    expect(world.exchanges.map(carried)).toEqual([
      ["POST", "/my/ticket", null],
      ["GET", "/api/events?ticket=one", null],
    ]);
    expect(world.exchanges.map(({ init }) => init.credentials)).toEqual(["include", "include"]);
  });

  it("is not bought unless the option asks for it", async () => {
    await connect({ ticket: false });
    expect(world.exchanges.map(carried)).toEqual([["GET", "/api/events", "Bearer token-1"]]);
  });

  it("from an invalid URL is a TypeError", () => {
    expect(() => new SSEClient({ ticket: "https://" }, world.environment)).toThrow(/^ticket: expected/);
  });

  it("that is refused with 401 is bought once more with a new token, and then the client stops", async () => {
    const client = await connect();
    world.last.problem(401, "unauthorized");
    await world.nextRequest(1_500);
    world.last.problem(401, "unauthorized");
    await world.advance(60_000);
    expect(asked).toEqual([false, true]);
    expect(errors.map(({ code, status }) => [code, status])).toEqual([["unauthorized", 401]]);
    expect(client.state).toBe("disconnected");
    expect(world.exchanges).toHaveLength(2);
  });

  it("that was too old when it was used is bought once more, even with a token that is a string", async () => {
    const client = await connect({ token: "secret" });
    await sell("one");
    world.last.problem(401, "unauthorized");
    await world.nextRequest(1_500);
    await sell("two");
    world.last.open();
    await settle();
    expect(client.state).toBe("connected");
    expect(errors).toEqual([]);
  });

  it.each([403, 404])("that is refused with %d stops the client", async (status) => {
    await connect();
    world.last.problem(status, "forbidden");
    await world.advance(60_000);
    expect(errors.map(({ code }) => code)).toEqual(["forbidden"]);
    expect(world.exchanges).toHaveLength(1);
  });

  it.each([429, 503])("that is refused with %d is bought again after Retry-After", async (status) => {
    await connect();
    world.last.problem(status, "rate_limited", { "Retry-After": "7" });
    await world.nextRequest(8_400);
    expect(world.pauses[0]).toBeGreaterThanOrEqual(7_000);
    expect(world.last.init.method).toBe("POST");
    expect(errors).toEqual([]);
  });

  it.each([
    ["a page to log in", "text/html", "<!doctype html>"],
    ["no ticket", "application/json", "{}"],
    ["an empty one", "application/json", '{"ticket":""}'],
    ["broken JSON", "application/json", '{"ticket":'],
    ["more than anybody would say", "application/json", `{"ticket":"${"x".repeat(70_000)}"}`],
  ])("for which %s arrives is a failed attempt", async (_, type, body) => {
    await connect();
    world.last.answer(200, { "Content-Type": type }, body);
    await world.nextRequest(1_500);
    expect(retries.map(({ code, status }) => [code, status])).toEqual([["content_type", 200]]);
    expect(world.exchanges.map(({ init }) => init.method)).toEqual(["POST", "POST"]);
  });

  it("that cannot be bought is a failed attempt", async () => {
    await connect();
    world.last.refuse();
    await world.nextRequest(1_500);
    expect(retries.map(({ code }) => code)).toEqual(["network"]);
  });

  it("and its stream must open within 15 s together", async () => {
    await connect();
    await world.advance(10_000);
    await sell("late");
    expect(world.last.query["ticket"]).toBe("late");
    await world.advance(5_000);
    expect(retries.map(({ code }) => code)).toEqual(["timeout"]);
    expect(world.last.isAborted).toBe(true);
  });

  it.each([true, false])("that arrives after 15 s is not used (fetch can be aborted: %s)", async (obeys) => {
    world.obeysSignal = obeys;
    const client = await connect();
    const [first] = world.exchanges;
    await world.advance(15_000);
    expect(first?.isAborted).toBe(true);
    client.disconnect();
    await sell("late", first);
    expect(world.exchanges).toHaveLength(1);
  });

  it("is bought for the stream that replaces one whose token ends", async () => {
    const client = await connect();
    const ids: string[] = [];
    client.on("*", (_, { id }) => ids.push(id));
    await sell("one");
    const old = world.last.open();
    await settle();
    old.frame({ event: "error", data: expiring });
    await world.nextRequest(1_500);
    old.event(42);
    await sell("two");
    // It asks for the events that the old stream had not delivered when the ticket arrived.
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
    expect(old.isAborted).toBe(false);
    world.last.open({ at: "42" }).event(43);
    await settle();
    expect(old.isAborted).toBe(true);
    expect(asked).toEqual([false, true]);
    expect(ids).toEqual(["42", "43"]);
  });

  it("is bought by each tab that becomes the leader of a shared stream", async () => {
    const browser = new FakeBrowser();
    const [first, second] = [browser.openTab(), browser.openTab()];
    const clients = [first, second].map(
      (tab) => new SSEClient({ token: "secret", ticket: true, shared: true }, tab.environment),
    );
    const [leader, follower] = clients;
    leader?.connect();
    await browser.advance(50);
    await sell("one", first.last);
    first.last.open();
    follower?.connect();
    await browser.advance(50);
    expect(second.exchanges).toEqual([]);
    leader?.disconnect();
    await browser.advance(50);
    await sell("two", second.last);
    second.last.open();
    await settle();
    expect(follower?.state).toBe("connected");
    expect([...first.exchanges, ...second.exchanges].map(({ query }) => query["ticket"])).toEqual([
      undefined,
      "one",
      undefined,
      "two",
    ]);
  });
});
