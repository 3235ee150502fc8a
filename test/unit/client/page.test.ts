import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { ClientWorld, settle } from "../../support/client-world.ts";

let world: ClientWorld;

beforeEach(() => {
  world = new ClientWorld();
});

async function connected(options: SSEClientOptions = {}): Promise<SSEClient> {
  const client = new SSEClient(options, world.environment);
  client.connect();
  await settle();
  world.last.open({ heartbeatSeconds: 3_600 });
  await settle();
  return client;
}

describe("a hidden page", () => {
  it("keeps its stream for 5 minutes, and then lets it go", async () => {
    const client = await connected();
    world.page.setHidden(true);
    await world.advance(299_000);
    expect(client.state).toBe("connected");
    await world.advance(1_000);
    expect(client.state).toBe("reconnecting");
    expect(world.last.isAborted).toBe(true);
    await world.advance(3_600_000);
    expect(world.exchanges).toHaveLength(1);
  });

  it("resumes after its last id as soon as it is visible", async () => {
    const client = await connected();
    world.last.event(42);
    world.page.setHidden(true);
    await world.advance(400_000);
    world.page.setHidden(false);
    await settle();
    expect(world.exchanges).toHaveLength(2);
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
    expect(world.last.query).toEqual({ log: "log-a" });
    world.last.open({ at: "42" });
    await settle();
    expect(client.state).toBe("connected");
  });

  it("that is shown in time keeps its stream", async () => {
    const client = await connected();
    for (let turn = 0; turn < 5; turn++) {
      world.page.setHidden(true);
      await world.advance(200_000);
      world.page.setHidden(false);
      await world.advance(200_000);
    }
    expect(client.state).toBe("connected");
    expect(world.exchanges).toHaveLength(1);
  });

  it("can be given another time, none, or all the time in the world", async () => {
    await connected({ pauseWhenHiddenSeconds: 5 });
    world.page.setHidden(true);
    await world.advance(5_000);
    expect(world.last.isAborted).toBe(true);

    world = new ClientWorld();
    await connected({ pauseWhenHiddenSeconds: 0 });
    world.page.setHidden(true);
    await world.advance(0);
    expect(world.last.isAborted).toBe(true);

    world = new ClientWorld();
    await connected({ pauseWhenHiddenSeconds: false });
    world.page.setHidden(true);
    await world.advance(7_000_000);
    expect(world.last.isAborted).toBe(false);
  });

  it("may connect, and is paused from then on as well", async () => {
    world.page.hidden = true;
    const client = await connected();
    expect(client.state).toBe("connected");
    await world.advance(300_000);
    expect(client.state).toBe("reconnecting");
  });

  it("that lost its stream tries no more once it is paused", async () => {
    await connected();
    world.onRequest = (exchange) => exchange.refuse();
    world.last.cut();
    world.page.setHidden(true);
    await world.advance(300_000);
    const count = world.exchanges.length;
    await world.advance(600_000);
    expect(world.exchanges).toHaveLength(count);
  });

  it("that was disconnected in its pause stays so when it is shown", async () => {
    const client = await connected({ pauseWhenHiddenSeconds: 1 });
    world.page.setHidden(true);
    await world.advance(1_000);
    client.disconnect();
    world.page.setHidden(false);
    await world.advance(60_000);
    expect(client.state).toBe("disconnected");
    expect(world.exchanges).toHaveLength(1);
  });
});

describe("a page that is left", () => {
  it("lets its stream go at once, and resumes if it comes back from the back/forward cache", async () => {
    const client = await connected();
    world.last.event(42);
    await settle();
    world.page.fire("pagehide");
    expect(world.last.isAborted).toBe(true);
    expect(client.state).toBe("reconnecting");
    world.page.fire("pageshow");
    await settle();
    expect(world.exchanges).toHaveLength(2);
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
  });

  it("does not connect twice, whichever of the two events comes first", async () => {
    await connected();
    world.page.setHidden(true);
    world.page.fire("pagehide");
    world.page.fire("pagehide");
    world.page.setHidden(false);
    world.page.fire("pageshow");
    await settle();
    expect(world.exchanges).toHaveLength(2);
  });
});

describe("a browser that goes offline", () => {
  it("does not ask until it is online, and then within 1.5 s", async () => {
    const client = await connected();
    world.page.setOnline(false);
    world.last.cut();
    await world.advance(20_000);
    expect(client.state).toBe("reconnecting");
    expect(world.exchanges).toHaveLength(1);
    world.page.setOnline(true);
    const { time } = world.clock;
    const { at } = await world.nextRequest(1_500);
    expect(at - time).toBeGreaterThanOrEqual(100);
  });

  it("asks every 30 s all the same, since a service on this machine needs no network", async () => {
    world.onRequest = (exchange) => exchange.refuse();
    world.page.online = false;
    new SSEClient({}, world.environment).connect();
    await world.advance(95_000);
    expect(world.exchanges.map(({ at }) => at)).toEqual([0, 30_000, 60_000, 90_000]);
  });

  it("puts off an attempt that is due, and starts over with short waits when it is online", async () => {
    const client = new SSEClient({}, world.environment);
    client.connect();
    for (let attempt = 0; attempt < 6; attempt++) {
      await settle();
      world.last.refuse();
      await world.nextRequest();
    }
    world.last.refuse();
    await settle();
    const count = world.exchanges.length;
    world.page.setOnline(false);
    await world.advance(29_000);
    expect(world.exchanges).toHaveLength(count);
    world.page.setOnline(true);
    await world.nextRequest(1_500);
    expect(world.exchanges).toHaveLength(count + 1);
  });

  it("does not cut a wait short that the service has asked for", async () => {
    await connected();
    world.last.close("shutdown", 20_000);
    await settle();
    world.page.setOnline(false);
    world.page.setOnline(true);
    await world.advance(19_900);
    expect(world.exchanges).toHaveLength(1);
    await world.advance(200);
    expect(world.exchanges).toHaveLength(2);
  });

  it("replaces a stream that has outlived that, since it may be dead without a word", async () => {
    const client = await connected();
    const states: string[] = [];
    client.onStateChange((state) => states.push(state));
    const old = world.last.event(42);
    await settle();
    world.page.setOnline(false);
    await world.advance(5_000);
    world.page.setOnline(true);
    await world.nextRequest(1_500);
    expect(old.isAborted).toBe(false);
    expect(world.last.headers.get("Last-Event-ID")).toBe("42");
    world.last.open({ at: "42" });
    await settle();
    expect(old.isAborted).toBe(true);
    expect(states).toEqual([]);
  });
});
