import { describe, expect, it } from "vitest";

import { Leasing, type LeasingSettings } from "../../../src/relay/leasing.ts";
import type { Lease, LeaseRequest, Recalled } from "../../../src/relay/seat-lease.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import { outcomeOf, type Outcome } from "../../support/hub/outcome.ts";

/** The hub's side of the leases, and relays that reply when a test says. */
class Rig {
  readonly clock = new FakeClock();
  readonly attached = new Map<string, string>();
  readonly recalls: { readonly relay: string; readonly reply: (recalled: Recalled) => void }[] = [];
  readonly leasing: Leasing;
  isSyncing = true;
  #hub: string | null = null;
  #numbers = 0;
  readonly #syncs: (() => void)[] = [];

  constructor(settings: Partial<LeasingSettings> = {}) {
    this.leasing = new Leasing(
      { maxConnections: 20, clientsPerObject: 10, maxRelays: 10, ...settings },
      {
        clock: this.clock,
        store: {
          all: () => [],
          save: () => {},
          sync: () =>
            this.isSyncing ? Promise.resolve() : new Promise((resolve) => void this.#syncs.push(resolve)),
        },
        lifeOf: (relay) => this.attached.get(relay) ?? null,
        recall: (relay) => new Promise((reply) => void this.recalls.push({ relay, reply })),
      },
    );
  }

  ask(relay: string, parts: Partial<LeaseRequest> = {}): Outcome<Lease> {
    const request: LeaseRequest = {
      relay,
      life: "a",
      number: ++this.#numbers,
      hub: this.#hub,
      used: 0,
      waiting: 0,
      wanted: 0,
      isFull: false,
      parent: null,
      ...parts,
    };
    return outcomeOf(this.leasing.lease(request));
  }

  /** Asks, and expects an answer at once. */
  async lease(relay: string, parts: Partial<LeaseRequest> = {}): Promise<Lease> {
    const outcome = this.ask(relay, parts);
    await this.clock.settle();
    if (outcome.value === null) {
      throw new Error(`the lease is ${outcome.state}`);
    }
    this.#hub = outcome.value.hub;
    return outcome.value;
  }

  /** A relay with this many clients. */
  async fill(relay: string, used: number, wanted = used): Promise<Lease> {
    return this.lease(relay, { used, wanted, waiting: wanted - used });
  }

  sync(): void {
    this.#syncs.splice(0).forEach((done) => done());
  }
}

describe("a lease", () => {
  it("is answered when it is durable, not before", async () => {
    const rig = new Rig();
    rig.isSyncing = false;
    const outcome = rig.ask("europe/1", { waiting: 1, wanted: 9 });
    await rig.clock.settle();
    expect(outcome.state).toBe("waiting");
    rig.sync();
    await rig.clock.settle();
    expect(outcome.value).toMatchObject({
      held: 9,
      validMs: 55_000,
      next: [],
      parent: null,
      isScarce: false,
    });
  });

  it("says whether the hub has a stream to this life of the relay", async () => {
    const rig = new Rig();
    expect((await rig.fill("europe/1", 1)).isAttached).toBe(false);
    rig.attached.set("europe/1", "a");
    expect((await rig.fill("europe/1", 1)).isAttached).toBe(true);
    expect((await rig.lease("europe/1", { life: "b", used: 1, wanted: 1 })).isAttached).toBe(false);
  });
});

describe("a relay that lacks seats while none is free", () => {
  it("gets those that other relays give back", async () => {
    const rig = new Rig();
    await rig.fill("europe/1", 6, 10);
    await rig.fill("asia/1", 10);
    const outcome = rig.ask("africa/1", { waiting: 2, wanted: 10 });
    await rig.clock.settle();
    expect([outcome.state, rig.recalls.map(({ relay }) => relay)]).toEqual([
      "waiting",
      ["europe/1", "asia/1"],
    ]);
    rig.recalls[0]?.reply({ life: "a", held: 6, used: 6 });
    await rig.clock.settle();
    expect(outcome.value).toMatchObject({ held: 2, isScarce: true });
  });

  it("waits at most 250 ms for them", async () => {
    const rig = new Rig();
    await rig.fill("europe/1", 10);
    await rig.fill("asia/1", 10);
    const outcome = rig.ask("africa/1", { waiting: 1, wanted: 9 });
    await rig.clock.advance(249);
    expect(outcome.state).toBe("waiting");
    await rig.clock.advance(1);
    expect(outcome.value).toMatchObject({ held: 0, next: [] });
  });

  it("is answered at once if the last recall was less than a second ago, and no seat can come back", async () => {
    const rig = new Rig();
    await rig.fill("europe/1", 10);
    await rig.fill("asia/1", 10);
    rig.ask("africa/1", { waiting: 1, wanted: 9 });
    await rig.clock.advance(999);
    expect((await rig.lease("africa/1", { waiting: 1, wanted: 9 })).held).toBe(0);
    expect(rig.recalls).toHaveLength(2);
    await rig.clock.advance(1);
    rig.ask("africa/1", { waiting: 1, wanted: 9 });
    expect(rig.recalls).toHaveLength(4);
  });

  it("is answered at once if there is no other relay", async () => {
    const rig = new Rig({ maxConnections: 5 });
    await rig.fill("europe/1", 5);
    expect((await rig.lease("europe/1", { used: 5, waiting: 1, wanted: 10 })).held).toBe(5);
  });

  it("is served before those that asked later", async () => {
    const rig = new Rig();
    await rig.fill("europe/1", 10);
    await rig.fill("asia/1", 10);
    const outcomes = [1, 2].map((number) => rig.ask(`africa/${number}`, { waiting: 1, wanted: 1 }));
    await rig.clock.advance(100);
    rig.recalls[1]?.reply({ life: "a", held: 9, used: 9 });
    await rig.clock.settle();
    expect(outcomes.map(({ value }) => value?.held)).toEqual([1, undefined]);
  });

  it("is not given the seats that it is just asked for", async () => {
    const rig = new Rig();
    await rig.fill("europe/1", 6, 10);
    await rig.fill("asia/1", 10);
    rig.ask("africa/1", { waiting: 1, wanted: 1 });
    const renewal = rig.ask("europe/1", { used: 6, wanted: 10 });
    await rig.clock.settle();
    expect(renewal.state).toBe("waiting");
    rig.recalls[0]?.reply({ life: "a", held: 6, used: 6 });
    await rig.clock.settle();
    expect(renewal.value?.held).toBe(6);
  });
});

describe("a relay that has no place for a client", () => {
  it("sends it to a new relay of its region", async () => {
    const rig = new Rig();
    const { held, next } = await rig.lease("europe/1", { used: 9, waiting: 3, wanted: 10, isFull: true });
    expect([held, next]).toEqual([10, [{ relay: "europe/2", clients: 2 }]]);
  });

  it("sends it nowhere while the channel has no seat", async () => {
    const rig = new Rig({ maxConnections: 10 });
    await rig.fill("europe/1", 10);
    expect((await rig.lease("europe/1", { used: 10, waiting: 1, wanted: 10, isFull: true })).next).toEqual(
      [],
    );
  });

  it("sends a crowd to as many relays as it needs", async () => {
    const rig = new Rig({ maxConnections: 100 });
    const { next } = await rig.lease("europe/1", { used: 10, waiting: 25, wanted: 10, isFull: true });
    expect(next).toEqual([
      { relay: "europe/2", clients: 10 },
      { relay: "europe/3", clients: 10 },
      { relay: "europe/4", clients: 5 },
    ]);
    // The first crowd has not arrived, but its places are taken.
    const again = await rig.lease("europe/1", { used: 10, waiting: 6, wanted: 10, isFull: true });
    expect(again.next).toEqual([
      { relay: "europe/4", clients: 5 },
      { relay: "europe/5", clients: 1 },
    ]);
  });

  it("is one too many: it gets no seat, and its clients go to the others", async () => {
    const rig = new Rig({ maxRelays: 1 });
    await rig.fill("europe/1", 5);
    expect([rig.leasing.accepts("europe/1"), rig.leasing.accepts("asia/1")]).toEqual([true, false]);
    expect(await rig.lease("asia/1", { waiting: 2, wanted: 10 })).toMatchObject({
      held: 0,
      next: [{ relay: "europe/1", clients: 2 }],
    });
    await rig.lease("europe/1");
    expect(rig.leasing.accepts("asia/1")).toBe(true);
  });

  it("makes the hub count the clients of the others before it refuses", async () => {
    const rig = new Rig({ maxConnections: 20, maxRelays: 2 });
    await rig.fill("europe/1", 10);
    await rig.fill("europe/2", 9);
    await rig.lease("europe/2", { used: 10, wanted: 10, isFull: true });
    await rig.lease("europe/1", { used: 9, wanted: 9 });
    const outcome = rig.ask("europe/1", { used: 10, waiting: 1, wanted: 10, isFull: true });
    await rig.clock.settle();
    expect(rig.recalls.map(({ relay }) => relay)).toEqual(["europe/2"]);
    rig.recalls[0]?.reply({ life: "a", held: 8, used: 8 });
    await rig.clock.settle();
    expect(outcome.value?.next).toEqual([{ relay: "europe/2", clients: 1 }]);
  });
});

describe("two lives of a relay", () => {
  it("are both counted until it is known which is alive", async () => {
    const rig = new Rig({ maxConnections: 10 });
    await rig.fill("europe/1", 5);
    await rig.lease("europe/1", { life: "b", waiting: 5, wanted: 5 });
    expect(rig.leasing.relays().map(({ life, held }) => [life, held])).toEqual([
      ["a", 5],
      ["b", 5],
    ]);
    rig.recalls[0]?.reply({ life: "b", held: 5, used: 5 });
    await rig.clock.settle();
    expect(rig.leasing.relays().map(({ life }) => life)).toEqual(["b"]);
  });

  it("are one when the stream to the other has ended by itself", async () => {
    const rig = new Rig({ maxConnections: 10 });
    rig.attached.set("europe/1", "a");
    rig.leasing.attached("europe/1", "a");
    await rig.fill("europe/1", 10);
    rig.attached.delete("europe/1");
    rig.leasing.left("europe/1", "a", "client_left");
    expect(rig.leasing.relays()).toHaveLength(1);
    rig.leasing.current("europe/1", "b");
    expect((await rig.lease("europe/1", { life: "b", waiting: 10, wanted: 10 })).held).toBe(10);
    expect(rig.leasing.isReplaced("europe/1", "a")).toBe(true);
  });

  it("do not replace each other because of an answer that another stream has overtaken", async () => {
    const rig = new Rig();
    rig.attached.set("europe/1", "b");
    rig.leasing.attached("europe/1", "b");
    rig.leasing.current("europe/1", "a");
    expect(rig.leasing.isReplaced("europe/1", "b")).toBe(false);
  });
});

describe("a relay without clients and seats", () => {
  it("is not listed, and makes room for another relay", async () => {
    const rig = new Rig({ maxRelays: 1 });
    await rig.fill("europe/1", 5);
    await rig.lease("europe/1");
    expect([rig.leasing.relays(), rig.leasing.accepts("asia/1")]).toEqual([[], true]);
  });

  it("is forgotten when its lease ends", async () => {
    const rig = new Rig({ maxRelays: 1 });
    await rig.fill("europe/1", 5);
    await rig.clock.advance(59_999);
    expect(rig.leasing.accepts("asia/1")).toBe(false);
    await rig.clock.advance(1);
    expect([rig.leasing.relays(), rig.leasing.accepts("asia/1")]).toEqual([[], true]);
  });
});
