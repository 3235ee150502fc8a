import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { MemoryEventLog, sizeOf } from "../../../../src/hub/log/event-log.ts";
import { Retention, type RetentionBounds } from "../../../../src/hub/log/retention.ts";
import { newEvent, newEvents } from "../../../support/hub/new-event.ts";

const WIDE: RetentionBounds = { maxEvents: 1_000, maxAgeMs: 1_000_000, maxBytes: 1_000_000 };
const SIZE = sizeOf(newEvent());

function logOf(...times: number[]): MemoryEventLog {
  const log = new MemoryEventLog();
  for (const time of times) {
    log.append([newEvent()], time, 1);
  }
  return log;
}

describe("the oldest event that may be delivered", () => {
  it("is the first event of a young log", () => {
    expect(new Retention(logOf(100, 200), WIDE).oldest(300)).toBe(1);
  });

  it("is an event that is exactly as old as the bound", () => {
    const retention = new Retention(logOf(100, 200, 300), { ...WIDE, maxAgeMs: 50 });
    expect(retention.oldest(150)).toBe(1);
    expect(retention.oldest(151)).toBe(2);
    expect(retention.oldest(350)).toBe(3);
  });

  it("is the id after the head if all events are too old", () => {
    const log = logOf(100, 200);
    const retention = new Retention(log, { ...WIDE, maxAgeMs: 50 });
    expect(retention.oldest(1_000)).toBe(3);
    log.append([newEvent()], 1_000, 3);
    expect(retention.oldest(1_000)).toBe(3);
    expect(retention.oldest(1_050)).toBe(3);
    expect(retention.oldest(1_051)).toBe(4);
  });

  it("is 1 in an empty log, and the id after the head in a log that was trimmed to nothing", () => {
    const log = logOf();
    const retention = new Retention(log, WIDE);
    expect(retention.oldest(0)).toBe(1);
    log.append(newEvents(3), 100, 1);
    log.trim(3);
    expect(retention.oldest(100)).toBe(4);
  });

  it("never decreases if the clock is set back", () => {
    const retention = new Retention(logOf(100, 200, 300), { ...WIDE, maxAgeMs: 50 });
    expect(retention.oldest(260)).toBe(3);
    expect(retention.oldest(100)).toBe(3);
  });
});

describe("the first event since a time", () => {
  it("is found by its time, inclusively", () => {
    const retention = new Retention(logOf(100, 200, 200, 300), WIDE);
    expect([99, 100, 101, 200, 201, 300, 301].map((time) => retention.firstSince(time))).toEqual([
      1, 1, 2, 2, 4, 4, 5,
    ]);
  });
});

describe("the events beyond the bounds", () => {
  it("are none in an empty log", () => {
    const retention = new Retention(logOf(), WIDE);
    expect(retention.excess(0)).toBe(0);
    expect(retention.isOver()).toBe(false);
    expect(retention.nextExpiry()).toBeNull();
  });

  it("are none at a bound, and the oldest ones beyond it", () => {
    for (const bounds of [
      { ...WIDE, maxEvents: 3 },
      { ...WIDE, maxBytes: 3 * SIZE },
    ]) {
      const log = logOf(1, 2, 3);
      const retention = new Retention(log, bounds);
      expect([retention.isOver(), retention.excess(3)]).toEqual([false, 0]);
      log.append([newEvent()], 4, 1);
      expect([retention.isOver(), retention.excess(4)]).toEqual([true, 1]);
      log.trim(1);
      expect([retention.isOver(), retention.excess(4)]).toEqual([false, 1]);
    }
  });

  it("are all events if a single event is larger than the bound", () => {
    const retention = new Retention(logOf(1, 2), { ...WIDE, maxBytes: SIZE - 1 });
    expect(retention.excess(2)).toBe(2);
  });

  it("are the events that are too old, and their time is known ahead", () => {
    const retention = new Retention(logOf(100, 200), { ...WIDE, maxAgeMs: 50 });
    expect(retention.nextExpiry()).toBe(151);
    expect(retention.excess(150)).toBe(0);
    expect(retention.excess(151)).toBe(1);
  });
});

describe("retention", () => {
  it("gives the same answers as a scan of all events", () => {
    const step = fc.record({
      passedMs: fc.integer({ min: 0, max: 30 }),
      appended: fc.integer({ min: 0, max: 4 }),
      size: fc.integer({ min: 0, max: 100 }),
      trims: fc.boolean(),
    });
    const bounds = fc.record({
      maxEvents: fc.integer({ min: 1, max: 12 }),
      maxAgeMs: fc.integer({ min: 1, max: 100 }),
      maxBytes: fc.integer({ min: 1, max: 2_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 25 }), bounds, (steps, limits) => {
        const log = new MemoryEventLog();
        const retention = new Retention(log, limits);
        let kept: { seq: number; at: number; size: number }[] = [];
        let now = 1_000;
        for (const { passedMs, appended, size, trims } of steps) {
          now += passedMs;
          for (let index = 0; index < appended; index++) {
            const added = newEvent({ data: JSON.stringify("x".repeat(size)) });
            log.append([added], now, retention.oldest(now));
            kept.push({ seq: log.head, at: now, size: sizeOf(added) });
          }
          const young = kept.filter(({ at }) => at >= now - limits.maxAgeMs);
          expect(retention.oldest(now)).toBe(young[0]?.seq ?? log.head + 1);
          const since = now - passedMs;
          expect(retention.firstSince(since)).toBe(kept.find(({ at }) => at >= since)?.seq ?? log.head + 1);
          const left = [...kept];
          const total = (): number => left.reduce((sum, each) => sum + each.size, 0);
          const isOver = left.length > limits.maxEvents || total() > limits.maxBytes;
          expect(retention.isOver()).toBe(isOver);
          while (left.length > young.length || left.length > limits.maxEvents || total() > limits.maxBytes) {
            left.shift();
          }
          const excess = left.length === 0 ? log.head : (left[0]?.seq ?? 0) - 1;
          expect(retention.excess(now)).toBe(excess);
          if (trims) {
            log.trim(excess);
            kept = left;
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it("reads only a few events of a long log", () => {
    const log = logOf();
    log.append(newEvents(100_000), 100, 1);
    log.append(newEvents(1), 200, 1);
    let asked = 0;
    const stamp = log.stamp.bind(log);
    log.stamp = (seq) => {
      asked++;
      return stamp(seq);
    };
    const retention = new Retention(log, { ...WIDE, maxAgeMs: 50 });
    expect(retention.oldest(200)).toBe(100_001);
    expect(asked).toBeLessThan(40);
    asked = 0;
    expect(retention.oldest(210)).toBe(100_001);
    expect(asked).toBe(0);
  });
});
