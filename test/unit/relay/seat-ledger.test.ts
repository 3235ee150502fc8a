import { describe, expect, it } from "vitest";

import type { LeaseRequest } from "../../../src/relay/seat-lease.ts";
import { SeatLedger } from "../../../src/relay/seat-ledger.ts";
import type { KeptSeats, SeatStore } from "../../../src/relay/seat-store.ts";

const NOON = Date.UTC(2026, 0, 29, 12);

/** Rows in memory. */
class Rows implements SeatStore {
  readonly rows = new Map<string, KeptSeats>();
  saves = 0;
  isBroken = false;

  all(): readonly KeptSeats[] {
    return [...this.rows.values()];
  }

  save({ relay, life, held, version }: KeptSeats): void {
    this.saves++;
    if (held === 0) {
      this.rows.delete(`${relay} ${life}`);
    } else {
      this.rows.set(`${relay} ${life}`, { relay, life, held, version });
    }
  }

  async sync(): Promise<void> {
    if (this.isBroken) {
      throw new Error("the storage has failed");
    }
  }
}

let requests = 0;

function request(parts: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    relay: "europe/1",
    life: "a",
    number: ++requests,
    hub: "hub",
    used: 0,
    waiting: 0,
    wanted: 0,
    isFull: false,
    parent: null,
    ...parts,
  };
}

/** A relay with this many clients, all of which have a seat. */
function leased(ledger: SeatLedger, relay: string, seats: number, life = "a"): void {
  ledger.lease(request({ relay, life, used: seats, wanted: seats }), "needed", NOON);
}

function ledgerOf(limit: number, rows = new Rows()): SeatLedger {
  const ledger = new SeatLedger(limit, "hub", rows);
  ledger.restore(NOON);
  return ledger;
}

describe("the seats of a channel", () => {
  it("are granted up to the limit", () => {
    const ledger = ledgerOf(10);
    expect(ledger.lease(request({ used: 0, waiting: 7, wanted: 7 }), "needed", NOON).held).toBe(7);
    const other = request({ relay: "asia/1", waiting: 7, wanted: 7 });
    expect(ledger.missingFor(other)).toBe(4);
    expect([ledger.lease(other, "needed", NOON).held, ledger.free]).toEqual([3, 0]);
  });

  it("come in blocks while there are many, and one by one when they are scarce", () => {
    const ledger = ledgerOf(100);
    const wish = { waiting: 1, wanted: 20 };
    expect(ledger.lease(request(wish), "block", NOON).held).toBe(20);
    leased(ledger, "asia/1", 76);
    expect(ledger.lease(request({ relay: "africa/1", ...wish }), "block", NOON).held).toBe(1);
    expect(ledger.lease(request({ relay: "africa/2", ...wish }), "needed", NOON).held).toBe(1);
    expect(ledger.lease(request({ relay: "africa/3", ...wish }), "nothing", NOON).held).toBe(0);
  });

  it("are free again when a relay gives them back", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 10);
    expect(ledger.lease(request({ used: 4, wanted: 4 }), "block", NOON).held).toBe(4);
    expect(ledger.free).toBe(6);
  });

  it("are free again 60 s after the last renewal", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 10);
    ledger.lease(request({ used: 10, wanted: 10 }), "block", NOON + 30_000);
    expect([ledger.expire(NOON + 89_999), ledger.free]).toEqual([[], 0]);
    expect([ledger.expire(NOON + 90_000), ledger.free]).toEqual([["europe/1"], 10]);
  });

  it("are not held for longer because the clock was set back", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 10);
    ledger.expire(NOON - 3_600_000);
    ledger.expire(NOON - 3_600_000 + 60_000);
    expect(ledger.free).toBe(10);
  });
});

describe("a request", () => {
  it("changes nothing if a newer one was seen", () => {
    const ledger = ledgerOf(10);
    const old = request({ wanted: 2 });
    ledger.lease(request({ waiting: 5, wanted: 5 }), "needed", NOON);
    const { held, version } = ledger.lease(old, "needed", NOON);
    expect([held, ledger.free]).toEqual([5, 5]);
    expect(ledger.lease(request({ used: 5, wanted: 5 }), "needed", NOON).version).toBeGreaterThan(version);
  });

  it("that was meant for an earlier life of the hub takes nothing away, because it may be old", () => {
    const rows = new Rows();
    rows.save({ relay: "europe/1", life: "a", held: 8, version: 1 });
    const ledger = ledgerOf(10, rows);
    expect(ledger.lease(request({ hub: "before", used: 2, wanted: 2 }), "block", NOON).held).toBe(8);
    expect(ledger.lease(request({ hub: "hub", used: 2, wanted: 2 }), "block", NOON).held).toBe(2);
  });
});

describe("a recall", () => {
  it("is for every relay with seats but the one that asks", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 4);
    leased(ledger, "asia/1", 4);
    leased(ledger, "asia/2", 0);
    expect(ledger.recall("europe/1").map(({ relay }) => relay)).toEqual(["asia/1"]);
    expect([ledger.isRecalled("asia/1", "a"), ledger.isRecalled("europe/1", "a")]).toEqual([true, false]);
  });

  it("takes what the relay gives", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "asia/1", 10);
    const version = ledger.recall("europe/1")[0]?.version ?? 0;
    expect(ledger.recalled("asia/1", version, { life: "a", held: 7, used: 7 })).toBe(true);
    expect([ledger.free, ledger.isRecalled("asia/1", "a")]).toEqual([3, false]);
  });

  it("takes nothing if the relay was given a newer answer, because it may have the seats again", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "asia/1", 10);
    const version = ledger.recall("europe/1")[0]?.version ?? 0;
    leased(ledger, "asia/1", 10);
    expect(ledger.recalled("asia/1", version, { life: "a", held: 2, used: 2 })).toBe(false);
    expect(ledger.free).toBe(0);
  });
});

describe("a life of a relay that another one has replaced", () => {
  it("loses its seats at once if its stream is gone, whichever is known first", () => {
    for (const isGoneFirst of [true, false]) {
      const ledger = ledgerOf(10);
      ledger.attached("europe/1", "a", NOON);
      leased(ledger, "europe/1", 6);
      if (isGoneFirst) {
        ledger.ended("europe/1", "a", "gone", NOON);
        ledger.attached("europe/1", "b", NOON);
      } else {
        ledger.replace("europe/1", "a", NOON);
        ledger.ended("europe/1", "a", "gone", NOON);
      }
      expect(ledger.free).toBe(10);
    }
  });

  it("has 2 s to end its clients if the hub has ended its stream", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 6);
    ledger.ended("europe/1", "a", "replaced", NOON);
    ledger.attached("europe/1", "b", NOON);
    ledger.expire(NOON + 1_999);
    expect(ledger.free).toBe(4);
    ledger.expire(NOON + 2_000);
    expect(ledger.free).toBe(10);
  });

  it("is told to hold nothing, and frees its seats when it does", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 6);
    ledger.attached("europe/1", "b", NOON);
    expect(ledger.lease(request({ used: 6, wanted: 6 }), "block", NOON).held).toBe(0);
    expect([ledger.free, ledger.relays()]).toEqual([4, []]);
    ledger.lease(request({ used: 0, wanted: 0 }), "block", NOON);
    expect(ledger.free).toBe(10);
  });

  it("keeps its seats while a stream to it goes on, and while nothing replaces it", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 6);
    ledger.attached("europe/1", "a", NOON);
    ledger.ended("europe/1", "a", "gone", NOON);
    leased(ledger, "europe/1", 2, "b");
    expect(ledger.free).toBe(2);
  });

  it("gets none even if its first request comes late", () => {
    const ledger = ledgerOf(10);
    ledger.attached("europe/1", "a", NOON);
    ledger.attached("europe/1", "b", NOON);
    expect(ledger.lease(request({ waiting: 1, wanted: 9 }), "block", NOON).held).toBe(0);
  });

  it("gets its place back if it was replaced by mistake", () => {
    const ledger = ledgerOf(10);
    leased(ledger, "europe/1", 6);
    ledger.ended("europe/1", "a", "replaced", NOON);
    ledger.attached("europe/1", "b", NOON);
    ledger.reinstate("europe/1", "a");
    ledger.expire(NOON + 2_000);
    expect([ledger.isReplaced("europe/1", "a"), ledger.free]).toEqual([false, 4]);
  });
});

describe("a hub that is started again", () => {
  it("counts what was stored for a full 60 s, and answers with higher versions", async () => {
    const rows = new Rows();
    const before = ledgerOf(10, rows);
    leased(before, "europe/1", 6);
    const { version } = before.lease(request({ used: 6, wanted: 6 }), "block", NOON + 1);
    await before.save();
    const after = new SeatLedger(10, "other", rows);
    after.restore(NOON + 50_000);
    expect(after.relays()).toEqual([{ relay: "europe/1", life: "a", held: 6, used: 6 }]);
    expect(after.lease(request({ used: 6, wanted: 6 }), "block", NOON + 50_001).version).toBeGreaterThan(
      version,
    );
    expect(after.expire(NOON + 110_000)).toEqual([]);
    expect([after.expire(NOON + 110_001), after.free]).toEqual([["europe/1"], 10]);
  });

  it("stores a row only when a count has changed, and deletes it with the last seat", async () => {
    const rows = new Rows();
    const ledger = ledgerOf(10, rows);
    for (const used of [6, 6, 6, 5]) {
      leased(ledger, "europe/1", used);
      await ledger.save();
    }
    expect([rows.saves, rows.all()]).toEqual([2, [expect.objectContaining({ held: 5 })]]);
    ledger.expire(NOON + 60_000);
    await ledger.save();
    expect(rows.all()).toEqual([]);
  });

  it("finds what a failed save could not store, once the next one has stored it", async () => {
    const rows = new Rows();
    const ledger = ledgerOf(10, rows);
    leased(ledger, "europe/1", 6);
    rows.isBroken = true;
    await expect(ledger.save()).rejects.toThrow("the storage has failed");
    rows.rows.clear();
    rows.isBroken = false;
    await ledger.save();
    expect(rows.all()).toMatchObject([{ relay: "europe/1", held: 6 }]);
  });
});
