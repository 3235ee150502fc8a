import { describe, expect, it } from "vitest";

import { MEASURED, SLICE_WRITES } from "../../../../bench/capacity/costs.ts";
import { runThread, writtenAt, type Arrival } from "../../../../bench/capacity/thread.ts";

const COSTS = { ...MEASURED, writeMs: 1, pageEventMs: 0.1 };

function arrival(at: number, parts: Partial<Arrival> = {}): Arrival {
  return { at, events: 1, workMs: 2, waitMs: 3, ...parts };
}

describe("the model of a thread", () => {
  it("works on a publish, waits until it is durable, and then writes to one reader after another", () => {
    const { sweeps, busyMs, endedAt } = runThread([arrival(10)], 4, COSTS);
    expect(sweeps).toHaveLength(1);
    const [sweep] = sweeps;
    if (sweep === undefined) {
      throw new Error("no sweep");
    }
    expect(sweep).toMatchObject({ from: 0, to: 1 });
    expect([0, 0.3, 0.6, 0.9].map((position) => writtenAt(sweep, position, 4))).toEqual(
      [16.1, 17.2, 18.3, 19.4].map((ms) => expect.closeTo(ms, 6)),
    );
    expect(busyMs).toBeCloseTo(2 + 4 * 1.1, 6);
    expect(endedAt).toBeCloseTo(10 + 2 + 3 + 4 * 1.1, 6);
  });

  it("gives events that arrive during a sweep to the next one, all in one write", () => {
    const arrivals = [0, 6, 7].map((at) => arrival(at, { workMs: 0, waitMs: 0 }));
    const { sweeps } = runThread(arrivals, 10, COSTS);
    expect(sweeps.map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [1, 3],
    ]);
    expect(sweeps[1]?.slices[0]).toEqual({
      begin: expect.closeTo(11, 6) as number,
      end: expect.closeTo(11 + 10 * 1.2, 6) as number,
    });
  });

  it("takes a publish after each slice of a sweep, which makes the rest of the sweep later", () => {
    const readers = 2 * SLICE_WRITES;
    const quiet = runThread([arrival(0, { waitMs: 0 })], readers, COSTS);
    const disturbed = runThread([arrival(0, { waitMs: 0 }), arrival(50, { workMs: 7 })], readers, COSTS);
    const [quietSlice, slice] = [quiet, disturbed].map(({ sweeps }) => sweeps[0]?.slices[1]?.begin);
    expect(slice).toBeCloseTo((quietSlice ?? Number.NaN) + 7, 6);
  });
});
