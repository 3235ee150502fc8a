import { describe, expect, it } from "vitest";

import { LeasedSeats } from "../../../src/relay/leased-seats.ts";
import type { Lease, LeaseRequest } from "../../../src/relay/seat-lease.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";

/** A call to the hub that a test answers. */
interface Call {
  readonly request: LeaseRequest;
  readonly answer: (lease: Lease) => void;
  readonly fail: () => void;
}

/** The seats of a relay, with as many clients as a test says and a hub that answers when a test says. */
class Rig {
  readonly clock = new FakeClock();
  readonly calls: Call[] = [];
  used = 0;
  leases = 0;
  lapses = 0;
  readonly seats: LeasedSeats;
  #version = 0;

  constructor(capacity = 100) {
    this.seats = new LeasedSeats({
      clock: this.clock,
      relay: "europe/1",
      life: "life",
      capacity,
      used: () => this.used,
      lease: (request) =>
        new Promise((answer, reject) => {
          this.calls.push({ request, answer, fail: () => reject(new Error("unreachable")) });
        }),
      leased: () => this.leases++,
      lapsed: () => this.lapses++,
    });
  }

  get last(): Call {
    const call = this.calls.at(-1);
    if (call === undefined) {
      throw new Error("the relay has not called");
    }
    return call;
  }

  /** Answers the last call. */
  async answer(parts: Partial<Lease> = {}): Promise<void> {
    this.#version = parts.version ?? this.#version + 1;
    this.last.answer({
      hub: "hub",
      held: this.last.request.wanted,
      version: this.#version,
      validMs: 55_000,
      isScarce: false,
      next: [],
      parent: null,
      isAttached: true,
      ...parts,
    });
    await this.clock.settle();
  }

  /** Takes a seat as soon as there may be one. */
  async enter(): Promise<void> {
    await this.seats.request();
    this.used++;
  }

  /** Takes this many clients, with this many seats. */
  async lease(used: number, held: number): Promise<void> {
    void this.seats.request();
    await this.answer({ held });
    this.used = used;
  }

  /** Removes clients one after another. */
  leave(count: number): void {
    for (let left = 0; left < count; left++) {
      this.used--;
      this.seats.left();
    }
  }

  async tickAfter(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.seats.tick();
    await this.clock.settle();
  }
}

describe("a relay without a lease", () => {
  it("has no seats and nothing to do", () => {
    const { seats } = new Rig();
    expect([seats.limit, seats.nextDue()]).toEqual([0, Number.POSITIVE_INFINITY]);
  });
});

describe("a connect without a seat", () => {
  it("waits until the hub has answered", async () => {
    const rig = new Rig();
    const outcome = outcomeOf(rig.seats.request());
    await rig.clock.settle();
    expect([outcome.state, rig.seats.limit]).toEqual(["waiting", 0]);
    expect(rig.last.request).toEqual({
      relay: "europe/1",
      life: "life",
      number: 1,
      hub: null,
      used: 0,
      waiting: 1,
      wanted: 9,
      isFull: false,
      parent: null,
    });
    await rig.answer();
    expect([outcome.state, rig.seats.limit, rig.leases]).toEqual(["done", 9, 1]);
  });

  it("shares a call with all others that wait", async () => {
    const rig = new Rig();
    const first = outcomeOf(rig.seats.request());
    const others = Array.from({ length: 20 }, () => outcomeOf(rig.seats.request()));
    await rig.answer({ held: 1 });
    rig.used = 1;
    expect(rig.calls.map(({ request }) => request.waiting)).toEqual([1, 20]);
    await rig.answer({ held: 21 });
    expect([first, ...others].map(({ state }) => state)).toEqual(Array.from({ length: 21 }, () => "done"));
    expect(rig.calls).toHaveLength(2);
  });

  it("is answered without a call of its own if an earlier call brought seats enough", async () => {
    const rig = new Rig();
    const outcomes = [outcomeOf(rig.seats.request()), outcomeOf(rig.seats.request())];
    await rig.answer();
    expect(outcomes.map(({ state }) => state)).toEqual(["done", "done"]);
    expect(rig.calls).toHaveLength(1);
  });

  it("looks again if the channel is full, so that it can wait for a dead client", async () => {
    const rig = new Rig();
    const outcome = outcomeOf(rig.seats.request());
    await rig.answer({ held: 0 });
    expect([outcome.state, rig.seats.limit]).toEqual(["done", 0]);
  });

  it("goes to the relay that the hub names, if this one is full", async () => {
    const rig = new Rig(10);
    await rig.lease(10, 10);
    const outcomes = Array.from({ length: 3 }, () => {
      const asked = rig.seats.request();
      return asked.catch((error: unknown) => (error as { code: string; next: string }).next);
    });
    await rig.answer({ held: 10, next: [{ relay: "europe/2", clients: 1 }] });
    expect(rig.last.request).toMatchObject({ used: 10, waiting: 2, wanted: 10, isFull: true });
    await rig.answer({
      held: 10,
      next: [
        { relay: "europe/2", clients: 1 },
        { relay: "europe/3", clients: 1 },
      ],
    });
    expect(await Promise.all(outcomes)).toEqual(["europe/2", "europe/2", "europe/3"]);
  });

  it.each([
    ["fails", (rig: Rig) => rig.last.fail()],
    ["never answers", () => {}],
  ])("is refused if the hub %s", async (_, prepare) => {
    const rig = new Rig();
    const outcome = outcomeOf(rig.seats.request());
    prepare(rig);
    await rig.clock.advance(5_000);
    expect([outcome.state, rig.seats.limit]).toEqual(["hub_unreachable", 0]);
  });
});

describe("the lease of a relay", () => {
  it("is renewed every 10 s while there are clients", async () => {
    const rig = new Rig();
    await rig.lease(5, 5);
    expect(rig.seats.nextDue()).toBe(rig.clock.now() + 10_000);
    await rig.tickAfter(9_999);
    expect(rig.calls).toHaveLength(1);
    await rig.tickAfter(1);
    expect(rig.last.request).toMatchObject({ number: 2, hub: "hub", used: 5, waiting: 0, wanted: 5 });
  });

  it("loses the seats that were not used since the last call", async () => {
    const rig = new Rig();
    await rig.lease(5, 20);
    rig.used = 7;
    rig.leave(4);
    await rig.tickAfter(10_000);
    expect(rig.last.request.wanted).toBe(7);
    await rig.answer();
    await rig.tickAfter(10_000);
    expect(rig.last.request.wanted).toBe(3);
    await rig.answer();
    expect(rig.seats.limit).toBe(3);
  });

  it("loses seats before the call that gives them back is sent", async () => {
    const rig = new Rig();
    await rig.lease(2, 20);
    await rig.tickAfter(10_000);
    expect([rig.last.request.wanted, rig.seats.limit]).toEqual([2, 2]);
  });

  it("ends with its time, and the relay is told", async () => {
    const rig = new Rig();
    await rig.lease(5, 5);
    await rig.clock.advance(54_999);
    expect(rig.seats.limit).toBe(5);
    await rig.clock.advance(1);
    expect([rig.seats.limit, rig.lapses]).toEqual([0, 0]);
    rig.seats.tick();
    expect([rig.lapses, rig.seats.held]).toEqual([1, 0]);
  });

  it("counts from when it was asked for, not from when the answer came", async () => {
    const rig = new Rig();
    void rig.seats.request();
    await rig.clock.advance(4_000);
    await rig.answer();
    await rig.clock.advance(50_999);
    expect(rig.seats.limit).toBe(9);
    await rig.clock.advance(1);
    expect(rig.seats.limit).toBe(0);
  });

  it("does not last longer because the clock was set back", async () => {
    const rig = new Rig();
    await rig.lease(5, 5);
    rig.clock.setBack(3_600_000);
    rig.seats.tick();
    await rig.clock.settle();
    expect(rig.calls).toHaveLength(2);
    await rig.clock.advance(55_000);
    expect(rig.seats.limit).toBe(0);
  });

  it("is tried again 2 s after the hub could not be reached", async () => {
    const rig = new Rig();
    await rig.lease(5, 5);
    await rig.tickAfter(10_000);
    rig.last.fail();
    await rig.clock.settle();
    expect([rig.seats.nextDue(), rig.seats.limit]).toEqual([rig.clock.now() + 2_000, 5]);
  });

  it("is given back when the relay goes to sleep", async () => {
    const rig = new Rig();
    await rig.lease(1, 9);
    rig.leave(1);
    rig.seats.release();
    expect(rig.last.request).toMatchObject({ used: 0, wanted: 0 });
    await rig.answer();
    expect([rig.seats.limit, rig.seats.nextDue()]).toEqual([0, Number.POSITIVE_INFINITY]);
  });

  it("is worth nothing once it was given up, and neither is the answer to an earlier call", async () => {
    const rig = new Rig();
    await rig.lease(5, 5);
    void rig.seats.request();
    const earlier = rig.last;
    rig.used = 0;
    rig.seats.giveUp();
    expect(rig.seats.limit).toBe(0);
    earlier.answer({ ...LEASE, held: 9, version: 7 });
    await rig.clock.settle();
    expect([rig.seats.limit, rig.calls.length]).toEqual([0, 3]);
  });
});

const LEASE: Lease = {
  hub: "hub",
  held: 0,
  version: 1,
  validMs: 55_000,
  isScarce: false,
  next: [],
  parent: null,
  isAttached: true,
};

describe("a recall", () => {
  it("takes the unused seats", async () => {
    const rig = new Rig();
    await rig.lease(5, 20);
    expect(rig.seats.recall(2)).toEqual({ life: "life", held: 5, used: 5 });
    expect(rig.seats.limit).toBe(5);
  });

  it("that is older than the newest answer takes nothing", async () => {
    const rig = new Rig();
    void rig.seats.request();
    await rig.answer({ version: 8 });
    expect(rig.seats.recall(7)).toEqual({ life: "life", held: 9, used: 0 });
  });

  it("makes the relay ignore an answer from before it, and ask again", async () => {
    const rig = new Rig();
    const outcome = outcomeOf(rig.enter());
    rig.seats.recall(5);
    await rig.answer({ held: 9, version: 4 });
    expect([outcome.state, rig.seats.limit, rig.calls.length]).toEqual(["waiting", 0, 2]);
    await rig.answer({ held: 1, version: 6 });
    expect([outcome.state, rig.seats.limit]).toEqual(["done", 1]);
  });

  it("makes the relay give seats back as soon as clients leave, for 2 s", async () => {
    const rig = new Rig();
    await rig.lease(5, 5);
    rig.seats.recall(2);
    rig.leave(1);
    await rig.clock.settle();
    expect(rig.last.request).toMatchObject({ used: 4, wanted: 4 });
    await rig.answer();
    await rig.clock.advance(2_000);
    rig.leave(1);
    await rig.clock.settle();
    expect(rig.calls).toHaveLength(2);
  });

  it("does so too at the relay that made the hub recall", async () => {
    const rig = new Rig();
    void rig.seats.request();
    rig.used = 0;
    await rig.answer({ held: 1, isScarce: true });
    expect(rig.last.request).toMatchObject({ used: 0, waiting: 0, wanted: 0 });
  });
});

describe("the versions of a hub that was started again", () => {
  it("may be lower: the relay drops that answer and takes the next one", async () => {
    const rig = new Rig();
    void rig.seats.request();
    await rig.answer({ version: 1_000 });
    rig.used = 9;
    await rig.tickAfter(10_000);
    await rig.answer({ hub: "other", version: 3, held: 50 });
    expect([rig.seats.limit, rig.calls.length]).toEqual([9, 3]);
    expect(rig.last.request.hub).toBe("other");
    await rig.answer({ hub: "other", version: 4, held: 12 });
    expect(rig.seats.limit).toBe(12);
  });
});
