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
  it("keeps its stream for 5 minutes, and then closes it", async () => {
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

  it("resumes after its last id when it is visible again", async () => {
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

  it("that becomes visible within 5 minutes keeps its stream", async () => {
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

  it("closes its stream after another time, at once, or never, as the option says", async () => {
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

  it("can connect, and pauses after the same time", async () => {
    world.page.hidden = true;
    const client = await connected();
    expect(client.state).toBe("connected");
    await world.advance(300_000);
    expect(client.state).toBe("reconnecting");
  });

  it("stops its attempts to reconnect when it is paused", async () => {
    await connected();
    world.onRequest = (exchange) => exchange.refuse();
    world.last.cut();
    world.page.setHidden(true);
    await world.advance(300_000);
    const count = world.exchanges.length;
    await world.advance(600_000);
    expect(world.exchanges).toHaveLength(count);
  });

  it("stays disconnected when it becomes visible, if it was disconnected during its pause", async () => {
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

describe("a page that the user leaves", () => {
  it("closes its stream at once, and resumes when it returns from the back/forward cache", async () => {
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

  it("connects once when it returns, in whichever order `pageshow` and `visibilitychange` come", async () => {
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
  it("makes no attempt until it is online, and then one within 1.5 s", async () => {
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

  it("makes an attempt every 30 s, since a service on the same machine needs no network", async () => {
    world.onRequest = (exchange) => exchange.refuse();
    world.page.online = false;
    new SSEClient({}, world.environment).connect();
    await world.advance(95_000);
    expect(world.exchanges.map(({ at }) => at)).toEqual([0, 30_000, 60_000, 90_000]);
  });

  it("postpones an attempt, and starts again with short delays when it is online", async () => {
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

  it("does not shorten a delay that the service asked for", async () => {
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

  it("replaces a stream that survived being offline, since it may be dead without a sign", async () => {
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
