import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { Alarm } from "../../../src/hub/alarm.ts";

const HEARTBEAT_MS = 30_000;

function recorded(heartbeatIntervalMs = HEARTBEAT_MS): { alarm: Alarm; set: number[] } {
  const set: number[] = [];
  return { alarm: new Alarm(heartbeatIntervalMs, (at) => set.push(at)), set };
}

describe("the alarm", () => {
  it("is set to the time or a little later, never earlier", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(1e9), (seconds, at) => {
        const { alarm, set } = recorded(seconds * 1_000);
        alarm.arm(at);
        const [rung = 0] = set;
        expect(rung).toBeGreaterThanOrEqual(at);
        expect(rung - at).toBeLessThanOrEqual(Math.min(2_000, (seconds * 1_000) / 4));
      }),
    );
  });

  it("is replaced only by an earlier alarm", () => {
    const { alarm, set } = recorded();
    alarm.arm(100_000);
    alarm.arm(100_000);
    alarm.arm(200_000);
    expect(set).toHaveLength(1);
    alarm.arm(50_000);
    expect(set).toHaveLength(2);
    expect(set[1]).toBeLessThan(60_000);
  });

  it("needs one write for everything that falls into one step", () => {
    const { alarm, set } = recorded();
    for (let at = 100_000; at > 98_000; at -= 100) {
      alarm.arm(at);
    }
    expect(set.length).toBeLessThanOrEqual(2);
  });

  it("can be set again after it has rung", () => {
    const { alarm, set } = recorded();
    alarm.arm(100_000);
    alarm.rung();
    alarm.arm(200_000);
    expect(set).toHaveLength(2);
  });

  it("is not set again if an earlier life of the hub has set it", () => {
    const { alarm, set } = recorded();
    alarm.restore(100_000);
    alarm.arm(150_000);
    expect(set).toEqual([]);
    alarm.arm(50_000);
    expect(set).toHaveLength(1);
  });

  it("is set for any time if no alarm is set", () => {
    const { alarm, set } = recorded();
    alarm.restore(null);
    alarm.arm(100_000);
    expect(set).toHaveLength(1);
  });
});
