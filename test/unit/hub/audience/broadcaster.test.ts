import { describe, expect, it } from "vitest";

import { Broadcaster } from "../../../../src/hub/audience/broadcaster.ts";
import { Client } from "../../../../src/hub/audience/client.ts";
import { createFilter, type Filter } from "../../../../src/hub/filter.ts";
import { OpenStreams } from "../../../../src/hub/audience/open-streams.ts";
import { Registry } from "../../../../src/hub/audience/registry.ts";
import { PageReader } from "../../../../src/hub/log/page-reader.ts";
import type { LogView, Page, Start } from "../../../../src/hub/log/log-view.ts";
import { FakeClock } from "../../../support/hub/fake-clock.ts";
import { SETTINGS } from "../../../support/hub/fake-hub.ts";
import { FakeStream } from "../../../support/hub/fake-stream.ts";
import { dataOf } from "../../../support/hub/frames.ts";
import { newEvents } from "../../../support/hub/new-event.ts";
import { UnrulyLog } from "../../../support/hub/unruly-log.ts";

const ALL = createFilter({});

/** A sweep looks every 25 ms whether a client accepted a write since, and ends at the first look that finds none. */
const LONGEST_WAIT_MS = 2 * 25;

/** A broadcaster and everything that it uses, without a hub. */
class Rig implements LogView {
  name = "rig";
  generation = 0;
  readonly clock = new FakeClock();
  log = new UnrulyLog();
  reader = new PageReader(this.log);
  readonly clients = new Registry(SETTINGS);
  /** How long the view takes to fetch a page; 0 returns pages at once. */
  fetchMs = 0;
  readonly pages: Page[] = [];
  readonly sweeps: { clients: number; head: number }[] = [];
  readonly failures: unknown[] = [];
  readonly gaps: Client[] = [];
  readonly broadcaster: Broadcaster;
  durable = 0;
  kept = 1;

  constructor() {
    const observer = {
      wrote: () => undefined,
      accepted: (_client: Client, page: Page | null) => page !== null && this.pages.push(page),
      lost: (client: Client) => this.remove(client),
    };
    const record = {
      swept: (clients: number, head: number) => this.sweeps.push({ clients, head }),
      gap: (client: Client) => this.gaps.push(client),
      readFailed: (_client: Client, error: unknown) => this.failures.push(error),
    };
    this.broadcaster = new Broadcaster(
      this.clients,
      new OpenStreams(),
      this,
      SETTINGS,
      this.clock,
      observer,
      record,
    );
  }

  head(): number {
    return this.durable;
  }

  oldest(): number {
    return this.kept;
  }

  start(): Start {
    return { cursor: this.durable, gap: null };
  }

  page(after: number, filter: Filter, maxBytes: number): Page | Promise<Page> {
    const page = (): Page => this.reader.page(after, this.durable, filter, maxBytes);
    return this.fetchMs === 0 || this.isInMemory(after) ? page() : this.#fetched(page);
  }

  isInMemory(after: number): boolean {
    return this.reader.isInMemory(after);
  }

  onAdvance(): void {}

  check(): void {}

  async #fetched(page: () => Page): Promise<Page> {
    await new Promise<void>((resolve) => {
      this.clock.after(this.fetchMs, resolve);
    });
    return page();
  }

  /** A client at a cursor; nothing is written to it yet. */
  join(
    cursor = this.durable,
    filter: Filter = ALL,
    isCatchingUp = false,
  ): { client: Client; stream: FakeStream } {
    const stream = new FakeStream();
    const client = new Client({
      id: String(this.clients.size),
      filter,
      stream,
      now: this.clock.now(),
      cursor,
      generation: this.generation,
      resumedFrom: null,
      address: null,
      expiresAt: Number.POSITIVE_INFINITY,
      tokenEndsAt: Number.POSITIVE_INFINITY,
      isBare: false,
      isCatchingUp,
    });
    this.clients.add(client);
    return { client, stream };
  }

  remove(client: Client): void {
    this.clients.remove(client);
    this.broadcaster.forget(client);
  }

  /** Appends events that stay in memory and makes them durable. */
  append(count: number, { data = "{}", type = "tick" } = {}): void {
    const { stored } = this.log.append(newEvents(count, { data, type }), this.clock.now(), 1);
    stored.forEach((event) => this.reader.push(event));
    this.durable = this.log.head;
  }

  /** Another log takes the place of this one. */
  replaceLog(name: string, events: number): void {
    this.log = new UnrulyLog();
    this.reader = new PageReader(this.log);
    this.generation++;
    this.name = name;
    this.durable = 0;
    this.append(events);
  }

  async publish(count: number, parts: { data?: string; type?: string } = {}): Promise<void> {
    this.append(count, parts);
    this.broadcaster.wake();
    await this.clock.settle();
  }
}

function upTo(head: number, from = 1): number[] {
  return Array.from({ length: head - from + 1 }, (_, index) => from + index);
}

describe("a sweep", () => {
  it("gives every client its missing events in one write, however many they are", async () => {
    const rig = new Rig();
    rig.append(5);
    const joined = [rig.join(0), rig.join(2), rig.join(5)];
    rig.append(500);
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(joined.map(({ stream }) => stream.writes.length)).toEqual([1, 1, 1]);
    expect(joined.map(({ stream }) => stream.ids)).toEqual([upTo(505), upTo(505, 3), upTo(505, 6)]);
    expect(rig.sweeps).toEqual([{ clients: 3, head: 505 }]);
  });

  it("encodes one page for all clients with the same cursor and filter", async () => {
    const rig = new Rig();
    const filter = createFilter({ types: ["tick"] });
    const [a, b, other] = [rig.join(0, filter), rig.join(0, filter), rig.join(0)];
    await rig.publish(3);
    expect(a.stream.writes[0]).toBe(b.stream.writes[0]);
    expect(other.stream.writes[0]).not.toBe(a.stream.writes[0]);
    expect(other.stream.ids).toEqual([1, 2, 3]);
  });

  it("writes nothing to clients whose filter hides everything, and moves them on", async () => {
    const rig = new Rig();
    const { client, stream } = rig.join(0, createFilter({ types: ["other"] }));
    await rig.publish(3);
    expect(stream.writes).toEqual([]);
    expect([client.cursor, client.lastSentId]).toEqual([3, 0]);
    await rig.publish(1, { type: "other" });
    expect(stream.ids).toEqual([4]);
    expect([client.cursor, client.lastSentId]).toEqual([4, 4]);
  });

  it("stops at the durable head", async () => {
    const rig = new Rig();
    const { stream } = rig.join(0);
    rig.append(5);
    rig.durable = 3;
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(stream.ids).toEqual([1, 2, 3]);
    rig.durable = 5;
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(stream.ids).toEqual([1, 2, 3, 4, 5]);
  });

  it("waits for the writes of the sweep before, and then sends all newer events in one write", async () => {
    const rig = new Rig();
    const [quick, slow] = [rig.join(), rig.join()];
    slow.stream.takeAfter(rig.clock, 10);
    await rig.publish(1);
    expect([quick.stream.writes.length, slow.stream.writes.length]).toEqual([1, 1]);
    for (let count = 0; count < 5; count++) {
      await rig.clock.advance(1);
      await rig.publish(1);
    }
    expect([quick.stream.writes.length, slow.stream.writes.length]).toEqual([1, 1]);
    await rig.clock.advance(20);
    expect([quick.stream.writes.length, slow.stream.writes.length]).toEqual([2, 2]);
    expect([quick.stream.ids, slow.stream.ids]).toEqual([upTo(6), upTo(6)]);
  });

  it("of more than 100 clients lets everything else run after each 100 writes", async () => {
    const rig = new Rig();
    const joined = Array.from({ length: 250 }, () => rig.join(0));
    const served = (): number => joined.filter(({ stream }) => stream.writes.length > 0).length;
    const servedAtTurns: number[] = [];
    const turn = rig.clock.turn.bind(rig.clock);
    rig.clock.turn = () => {
      servedAtTurns.push(served());
      return turn();
    };
    await rig.publish(1);
    expect(servedAtTurns).toEqual([100, 200]);
    expect(joined.map(({ stream }) => stream.ids)).toEqual(joined.map(() => [1]));
    expect(rig.sweeps).toEqual([{ clients: 250, head: 1 }]);
  });

  it("delivers what is published in its pauses, and skips clients that leave in them", async () => {
    const rig = new Rig();
    const joined = Array.from({ length: 250 }, () => rig.join(0));
    const turn = rig.clock.turn.bind(rig.clock);
    let pauses = 0;
    rig.clock.turn = async () => {
      await turn();
      if (++pauses <= 2) {
        rig.append(1);
        rig.broadcaster.wake();
        joined.slice(-10 * pauses).forEach(({ client }) => rig.remove(client));
      }
    };
    await rig.publish(1);
    expect(pauses).toBe(4);
    const stayed = joined.slice(0, 230);
    expect(stayed.map(({ stream }) => stream.ids)).toEqual(stayed.map(() => upTo(rig.durable)));
    expect(joined.slice(230).flatMap(({ stream }) => stream.ids)).toEqual([]);
  });

  it("sends pages of a bounded size, one after the other", async () => {
    const rig = new Rig();
    const { stream } = rig.join(0);
    await rig.publish(100, { data: JSON.stringify("x".repeat(20_000)) });
    expect(stream.ids).toEqual(upTo(100));
    expect(stream.writes.length).toBeGreaterThan(7);
    expect(Math.max(...stream.writes.map((bytes) => bytes.byteLength))).toBeLessThanOrEqual(128 * 1024);
  });
});

describe("a client that stalls", () => {
  it("delays the others at most once, by the patience of a sweep", async () => {
    const rig = new Rig();
    const [quick, stalled] = [rig.join(), rig.join()];
    stalled.stream.stall();
    await rig.publish(1);
    await rig.publish(1);
    await rig.clock.advance(LONGEST_WAIT_MS);
    expect(quick.stream.ids).toEqual([1, 2]);
    for (let id = 3; id <= 50; id++) {
      await rig.publish(1);
      expect(quick.stream.ids).toEqual(upTo(id));
    }
    expect(stalled.stream.writes).toHaveLength(1);
  });

  it("has at most one pending write, however much is published", async () => {
    const rig = new Rig();
    const { stream } = rig.join();
    stream.stall();
    for (let count = 0; count < 20; count++) {
      await rig.publish(100, { data: JSON.stringify("x".repeat(1_000)) });
      await rig.clock.advance(1_000);
    }
    expect(stream.writes).toHaveLength(1);
    expect(stream.writes[0]?.byteLength).toBeLessThanOrEqual(128 * 1024);
  });

  it("gets every event once and in order when it reads again", async () => {
    const rig = new Rig();
    const { stream } = rig.join();
    stream.stall();
    await rig.publish(3);
    await rig.clock.advance(5_000);
    await rig.publish(400);
    stream.resume();
    await rig.clock.settle();
    expect(stream.ids).toEqual(upTo(403));
  });

  it("does not delay the others again while it accepts its writes late", async () => {
    const rig = new Rig();
    const [quick, late] = [rig.join(), rig.join()];
    late.stream.takeAfter(rig.clock, 1_000);
    await rig.publish(1);
    await rig.clock.advance(1_000);
    for (let id = 2; id <= 30; id++) {
      await rig.publish(1);
      expect(quick.stream.ids).toEqual(upTo(id));
      await rig.clock.advance(100);
    }
    await rig.clock.advance(5_000);
    expect(late.stream.ids).toEqual(upTo(30));
  });

  it("is waited for again after it accepts a write in time", async () => {
    const rig = new Rig();
    const [quick, late] = [rig.join(), rig.join()];
    late.stream.takeAfter(rig.clock, 1_000);
    await rig.publish(1);
    await rig.clock.advance(1_000);
    late.stream.takeAfter(rig.clock, 5);
    await rig.publish(1);
    await rig.clock.advance(5);
    await rig.publish(1);
    await rig.publish(1);
    expect(quick.stream.ids).toEqual([1, 2, 3]);
    await rig.clock.advance(5);
    expect(quick.stream.ids).toEqual([1, 2, 3, 4]);
    await rig.clock.advance(5);
    expect(late.stream.ids).toEqual([1, 2, 3, 4]);
  });

  it("does not delay a sweep after it has left", async () => {
    const rig = new Rig();
    const [quick, stalled] = [rig.join(), rig.join()];
    stalled.stream.stall();
    await rig.publish(1);
    await rig.publish(1);
    rig.remove(stalled.client);
    await rig.clock.settle();
    expect(quick.stream.ids).toEqual([1, 2]);
    stalled.stream.resume();
    await rig.publish(1);
    expect(quick.stream.ids).toEqual([1, 2, 3]);
    expect(stalled.stream.writes).toHaveLength(1);
  });

  it("does not delay the others if many clients stall", async () => {
    const rig = new Rig();
    const stalled = upTo(20).map(() => rig.join());
    const quick = upTo(20).map(() => rig.join());
    stalled.forEach(({ stream }) => stream.stall());
    await rig.publish(1);
    await rig.clock.advance(LONGEST_WAIT_MS);
    await rig.publish(10);
    await rig.publish(10);
    for (const { stream } of quick) {
      expect(stream.ids).toEqual(upTo(21));
      expect(stream.writes).toHaveLength(3);
    }
  });
});

describe("the patience of a sweep", () => {
  it("lasts while clients accept writes, so that a crowd stays together", async () => {
    const rig = new Rig();
    const crowd = upTo(5).map(() => rig.join());
    crowd.forEach(({ stream }, index) => stream.takeAfter(rig.clock, 15 * (index + 1)));
    for (let count = 0; count < 3; count++) {
      await rig.publish(1);
      await rig.clock.advance(10);
    }
    await rig.clock.advance(200);
    for (const { client, stream } of crowd) {
      expect(client.isLate).toBe(false);
      // The first event, and then both later events in one write.
      expect(stream.writes).toHaveLength(2);
    }
  });

  it("ends after a bounded time even if clients still accept writes", async () => {
    const rig = new Rig();
    const crowd = upTo(20).map(() => rig.join());
    crowd.forEach(({ stream }, index) => stream.takeAfter(rig.clock, 20 * (index + 1)));
    await rig.publish(1);
    await rig.clock.advance(10);
    await rig.publish(1);
    await rig.clock.advance(290);
    expect(crowd.map(({ client }) => client.isLate)).toEqual(upTo(20).map((n) => n * 20 > 250));
    expect(crowd[0]?.stream.ids).toEqual([1, 2]);
  });
});

describe("a stream that fails", () => {
  it("does not stop a broadcast by rejecting its write", async () => {
    const rig = new Rig();
    const [first, broken, last] = [rig.join(), rig.join(), rig.join()];
    broken.stream.break();
    await rig.publish(1);
    await rig.publish(1);
    expect([first.stream.ids, last.stream.ids]).toEqual([
      [1, 2],
      [1, 2],
    ]);
    expect(rig.clients.has(broken.client)).toBe(false);
  });

  it("does not delay a sweep by rejecting a pending write", async () => {
    const rig = new Rig();
    const [quick, leaving] = [rig.join(), rig.join()];
    leaving.stream.stall();
    await rig.publish(1);
    await rig.publish(1);
    leaving.stream.break();
    await rig.clock.settle();
    expect(quick.stream.ids).toEqual([1, 2]);
  });

  it("does not stop a broadcast by throwing", async () => {
    const rig = new Rig();
    const [first, broken, last] = [rig.join(), rig.join(), rig.join()];
    broken.stream.throwOnWrite();
    await rig.publish(1);
    await rig.publish(1);
    await rig.clock.advance(5_000);
    await rig.publish(1);
    expect([first.stream.ids, last.stream.ids]).toEqual([upTo(3), upTo(3)]);
  });
});

/** A replaying client and a live client, while the log cannot be read. */
async function failing(): Promise<{ rig: Rig; replaying: FakeStream; live: FakeStream }> {
  const rig = new Rig();
  rig.append(10);
  rig.reader.forget(11);
  rig.log.failing = true;
  const [replaying, live] = [rig.join(0).stream, rig.join(10).stream];
  await rig.publish(1);
  return { rig, replaying, live };
}

describe("a log that cannot be read", () => {
  it("leads to an error frame for the clients that need it, and for no other", async () => {
    const { rig, replaying, live } = await failing();
    expect(replaying.seen.events.map(({ type, id }) => [type, id])).toEqual([["error", undefined]]);
    expect(dataOf(replaying.seen.events[0])).toMatchObject({
      error_type: expect.any(String),
      retryable: true,
    });
    expect(rig.failures).toHaveLength(1);
    expect(live.ids).toEqual([11]);
  });

  it("is read again after a second, not in a loop", async () => {
    const { rig, replaying } = await failing();
    await rig.clock.advance(999);
    expect(rig.failures).toHaveLength(1);
    await rig.clock.advance(1);
    expect(rig.failures).toHaveLength(2);
    await rig.clock.advance(10_000);
    expect(rig.failures).toHaveLength(12);
    expect(replaying.isEnding).toBe(false);
  });

  it("is delivered without loss as soon as it can be read again", async () => {
    const { rig, replaying } = await failing();
    rig.log.failing = false;
    await rig.clock.advance(1_000);
    expect(replaying.ids).toEqual(upTo(11));
  });

  it("keeps no timer for a client that has left", async () => {
    const { rig } = await failing();
    for (const client of rig.clients) {
      rig.remove(client);
    }
    await rig.clock.advance(1_000);
    expect(rig.clock.timers).toBe(0);
  });
});

describe("a client whose cursor falls out of the history", () => {
  it("gets a gap and then the kept events", async () => {
    const rig = new Rig();
    const { client, stream } = rig.join(0);
    stream.stall();
    await rig.publish(2);
    await rig.clock.advance(1_000);
    await rig.publish(8);
    rig.kept = 6;
    rig.log.trim(5);
    stream.resume();
    await rig.clock.settle();
    const [first, second, gap, ...rest] = stream.seen.events;
    expect([first?.id, second?.id]).toEqual(["1", "2"]);
    expect([gap?.type, gap?.id]).toEqual(["gap", "5"]);
    expect(dataOf(gap)).toEqual({ requested_id: "2", oldest_id: "6", latest_id: "10", reason: "expired" });
    expect(rest.map(({ id }) => Number(id))).toEqual(upTo(10, 6));
    expect(rig.gaps).toEqual([client]);
    expect(client.lastSentId).toBe(10);
  });

  it("gets a gap if no event is kept, and then the new events", async () => {
    const rig = new Rig();
    rig.append(5);
    rig.log.trim(5);
    rig.kept = 6;
    const { client, stream } = rig.join(2);
    rig.broadcaster.wake();
    await rig.clock.settle();
    // The gap carried the cursor as its id, so no heartbeat has to carry it.
    expect([client.cursor, client.lastSentId]).toEqual([5, 5]);
    const [gap] = stream.seen.events;
    expect([gap?.type, gap?.id]).toEqual(["gap", "5"]);
    expect(dataOf(gap)).toEqual({ requested_id: "2", oldest_id: null, latest_id: "5", reason: "expired" });
    await rig.publish(1);
    expect(stream.ids).toEqual([6]);
  });
});

/** The types, ids and logs of the frames that a client has accepted. */
function toldOf(stream: FakeStream): unknown[] {
  return stream.seen.events.map((event) => {
    const { log, reason, requested_id, oldest_id, latest_id } = dataOf(event);
    switch (event.type) {
      case "connected":
        return ["connected", event.id, log];
      case "gap":
        return ["gap", event.id, reason, requested_id, oldest_id, latest_id];
      default:
        return [event.type, event.id];
    }
  });
}

/** What a client is told of a new log with two events. */
const newLog = (requested: number): unknown[] => [
  ["connected", undefined, "new"],
  ["gap", "0", "unknown", String(requested), "1", "2"],
  ["tick", "1"],
  ["tick", "2"],
];

describe("a client whose log was replaced", () => {
  it("is told the name of the new log, and that nothing of the old one counts, and gets all events of the new one", async () => {
    const rig = new Rig();
    rig.append(5);
    const { client, stream } = rig.join();
    rig.replaceLog("new", 2);
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(toldOf(stream)).toEqual(newLog(5));
    expect(client.lastSentId).toBe(2);
    await rig.publish(1);
    expect(toldOf(stream)).toEqual([...newLog(5), ["tick", "3"]]);
  });

  it("is told so even if the new log has the same name, or no event", async () => {
    const rig = new Rig();
    rig.append(5);
    const { stream } = rig.join();
    rig.replaceLog("rig", 0);
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(toldOf(stream)).toEqual([
      ["connected", undefined, "rig"],
      ["gap", "0", "unknown", "5", null, "0"],
    ]);
  });

  it("is told so once it is idle", async () => {
    const rig = new Rig();
    const { stream } = rig.join();
    stream.stall();
    await rig.publish(3);
    rig.replaceLog("new", 2);
    rig.broadcaster.wake();
    await rig.clock.advance(1_000);
    expect(stream.writes).toHaveLength(1);
    stream.resume();
    await rig.clock.settle();
    expect(toldOf(stream)).toEqual([["tick", "1"], ["tick", "2"], ["tick", "3"], ...newLog(3)]);
  });

  it("gets no page of the old log that was on its way", async () => {
    const rig = new Rig();
    rig.append(5);
    rig.reader.forget(6);
    rig.fetchMs = 1_000;
    const { stream } = rig.join(0);
    rig.broadcaster.wake();
    await rig.clock.advance(500);
    rig.replaceLog("new", 2);
    await rig.clock.advance(500);
    expect(toldOf(stream)).toEqual(newLog(0));
  });

  it("gets no event of the old log if that is replaced in the middle of a sweep", async () => {
    const rig = new Rig();
    const joined = Array.from({ length: 250 }, () => rig.join(0));
    const later: FakeStream[] = [];
    const turn = rig.clock.turn.bind(rig.clock);
    rig.clock.turn = async () => {
      await turn();
      if (later.length === 0) {
        rig.replaceLog("new", 2);
        later.push(rig.join(0).stream);
      }
    };
    rig.append(3);
    rig.broadcaster.wake();
    await rig.clock.settle();
    const served = joined.map(({ stream }) => toldOf(stream));
    const old = [
      ["tick", "1"],
      ["tick", "2"],
      ["tick", "3"],
    ];
    expect(served.slice(0, 100)).toEqual(served.slice(0, 100).map(() => [...old, ...newLog(3)]));
    expect(served.slice(100)).toEqual(served.slice(100).map(() => newLog(0)));
    expect(later.map((stream) => stream.ids)).toEqual([[1, 2]]);
  });
});

describe("clients in replay", () => {
  it("get the whole log, although each sweep reads only a part of it", async () => {
    const rig = new Rig();
    rig.append(20_000);
    rig.reader.forget(20_001);
    const { stream } = rig.join(0);
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(stream.ids).toEqual(upTo(20_000));
  });

  it("share a bounded part of each sweep, so that live clients stay live", async () => {
    const rig = new Rig();
    rig.append(30_000);
    rig.reader.forget(30_001);
    const replaying = upTo(8).map((cursor) => rig.join(cursor));
    const live = rig.join(30_000);
    live.stream.takeAfter(rig.clock, 1);
    rig.append(1);
    rig.log.eventsRead = 0;
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(live.stream.sent.events).toHaveLength(1);
    expect(rig.log.eventsRead).toBeLessThanOrEqual(8_000);
    for (let count = 0; count < 60; count++) {
      await rig.clock.advance(1);
      await rig.publish(1);
    }
    await rig.clock.advance(100);
    expect(live.stream.ids).toEqual(upTo(rig.durable, 30_001));
    for (const [index, { stream }] of replaying.entries()) {
      expect(stream.ids).toEqual(upTo(rig.durable, index + 2));
    }
  });

  it("beyond that part are served if they can share a page, which costs no read", async () => {
    const rig = new Rig();
    rig.append(20_000);
    rig.reader.forget(20_001);
    const joined = [0, 1, 2, 3, 0, 4].map((cursor) => rig.join(cursor).stream);
    joined.forEach((stream) => stream.stall());
    rig.log.reads = 0;
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(joined.map(({ writes }) => writes.length)).toEqual([1, 1, 1, 1, 1, 0]);
    expect(rig.log.reads).toBe(4);
  });

  it("with a filter that matches nothing reach the head without a write", async () => {
    const rig = new Rig();
    rig.append(20_000);
    rig.reader.forget(20_001);
    const { client, stream } = rig.join(0, createFilter({ types: ["other"] }));
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(client.cursor).toBe(20_000);
    expect(stream.writes).toEqual([]);
  });

  it("at the same cursor read the log once", async () => {
    const rig = new Rig();
    rig.append(1_000);
    rig.reader.forget(1_001);
    const joined = upTo(30).map(() => rig.join(0));
    rig.log.eventsRead = 0;
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(rig.log.eventsRead).toBeLessThanOrEqual(1_000);
    for (const { stream } of joined) {
      expect(stream.ids).toEqual(upTo(1_000));
    }
  });
});

describe("a page that the view has to fetch", () => {
  it("arrives in order with the live events, exactly once", async () => {
    const rig = new Rig();
    rig.append(3_000);
    rig.reader.forget(3_001);
    rig.fetchMs = 40;
    const { stream } = rig.join(0);
    rig.broadcaster.wake();
    for (let round = 0; round < 20; round++) {
      await rig.publish(1);
      await rig.clock.advance(15);
    }
    await rig.clock.advance(10_000);
    expect(stream.ids).toEqual(upTo(3_020));
  });

  it("delays no live client", async () => {
    const rig = new Rig();
    rig.append(100);
    rig.reader.forget(101);
    rig.fetchMs = 5_000;
    const { stream: past } = rig.join(0);
    const { stream: live } = rig.join();
    rig.broadcaster.wake();
    await rig.publish(1);
    await rig.publish(1);
    expect(live.ids).toEqual([101, 102]);
    expect(past.ids).toEqual([]);
    await rig.clock.advance(5_000);
    expect(past.ids).toEqual(upTo(102));
  });

  it("is fetched for four clients at a time, and the others follow", async () => {
    const rig = new Rig();
    rig.append(100);
    rig.reader.forget(101);
    rig.fetchMs = 100;
    const joined = upTo(10).map((cursor) => rig.join(cursor));
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(joined.filter(({ client }) => client.isFetching)).toHaveLength(4);
    await rig.clock.advance(1_000);
    expect(joined.map(({ stream }) => stream.ids.at(-1))).toEqual(joined.map(() => 100));
  });

  it("is dropped if the client has left", async () => {
    const rig = new Rig();
    rig.append(100);
    rig.reader.forget(101);
    rig.fetchMs = 100;
    const { client, stream } = rig.join(0);
    rig.broadcaster.wake();
    rig.remove(client);
    await rig.clock.advance(1_000);
    expect(stream.writes).toEqual([]);
    expect(rig.clock.timers).toBe(0);
  });

  it("is fetched again a second after a failure, and the client gets an error frame", async () => {
    const rig = new Rig();
    rig.append(100);
    rig.reader.forget(101);
    rig.fetchMs = 10;
    rig.log.failing = true;
    const { stream } = rig.join(0);
    rig.broadcaster.wake();
    await rig.clock.advance(100);
    expect(stream.seen.events.map(({ type }) => type)).toEqual(["error"]);
    expect(rig.failures).toHaveLength(1);
    rig.log.failing = false;
    await rig.clock.advance(2_000);
    expect(stream.ids).toEqual(upTo(100));
  });
});

describe("the broadcaster at rest", () => {
  it("has no timer and does not run", async () => {
    const rig = new Rig();
    rig.join();
    await rig.publish(3);
    await rig.clock.advance(1_000);
    expect(rig.clock.timers).toBe(0);
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(rig.sweeps).toHaveLength(1);
  });

  it("counts a page as delivered only when the client has accepted it", async () => {
    const rig = new Rig();
    const { client, stream } = rig.join();
    stream.stall();
    await rig.publish(3);
    expect([rig.pages.length, client.eventsSent, client.lastEventAt]).toEqual([0, 0, null]);
    await rig.clock.advance(500);
    stream.resume();
    await rig.clock.settle();
    expect(rig.pages.map(({ events }) => events)).toEqual([3]);
    expect([client.eventsSent, client.lastEventAt]).toEqual([3, rig.clock.now()]);
  });
});

/** Where in a stream its client was told that it has caught up, and with which id. */
function ends(stream: FakeStream): unknown[] {
  return stream.seen.events.flatMap((event, index) =>
    event.type === "caught_up" ? [[index, dataOf(event)["last_event_id"]]] : [],
  );
}

describe("a client that wants to know when it has caught up", () => {
  it("is told once, after the last page of its replay and in the same write", async () => {
    const rig = new Rig();
    await rig.publish(1_000, { data: JSON.stringify("x".repeat(1_000)) });
    rig.reader.forget(1_001);
    const { stream } = rig.join(0, ALL, true);
    rig.broadcaster.wake();
    await rig.clock.settle();
    await rig.publish(3);
    expect(ends(stream)).toEqual([[1_000, "1000"]]);
    expect(stream.writes.length).toBeGreaterThan(2);
    expect(stream.seen.events).toHaveLength(1_004);
    const { stream: other } = rig.join(0);
    rig.broadcaster.wake();
    await rig.clock.settle();
    expect(ends(other)).toEqual([]);
  });

  it("is told with its first frames if there is nothing to replay", async () => {
    const rig = new Rig();
    await rig.publish(2);
    const { client, stream } = rig.join(2, ALL, true);
    rig.broadcaster.start(client, ": hello\n\n");
    await rig.clock.settle();
    expect(ends(stream)).toEqual([[0, "2"]]);
    expect(stream.writes).toHaveLength(1);
  });

  it("is told if its filter hides everything, and after a page that the view has to fetch", async () => {
    const rig = new Rig();
    rig.fetchMs = 10;
    await rig.publish(5);
    rig.reader.forget(6);
    const hidden = rig.join(0, createFilter({ types: ["other"] }), true);
    const shown = rig.join(0, ALL, true);
    rig.broadcaster.wake();
    await rig.clock.advance(20);
    expect([ends(hidden.stream), ends(shown.stream)]).toEqual([[[0, "5"]], [[5, "5"]]]);
  });
});
