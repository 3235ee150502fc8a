import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { sizeOf, type EventLog, type NewEvent, type StoredEvent } from "../../../src/hub/event-log.ts";
import { newEvent, newEvents } from "./new-event.ts";

/** Where a log lives. */
export interface LogHost {
  /**
   * Runs a test with a log of its own, not created yet. `reopen` gives the log that a restart finds in the same
   * storage; the one before must not be used after it.
   */
  withLog(test: (log: EventLog, reopen: () => EventLog) => void | Promise<void>): Promise<void>;
  /** Runs of the property test: a log in memory is cheaper than one on a disk. */
  readonly propertyRuns: number;
}

const NOON = Date.UTC(2026, 0, 29, 12);

/** What every event log promises, whatever it is kept in. */
export function registerEventLogTests(title: string, { withLog, propertyRuns }: LogHost): void {
  describe(title, () => {
    describe("that was not created", () => {
      it("is empty and has no name", () =>
        withLog((log) => {
          expect(log.name).toBeNull();
          expect([log.head, log.oldest]).toEqual([0, 1]);
          expect(log.stamp(0)).toMatchObject({ publishedAt: 0, endOffset: 0 });
          expect(eventsOf(log)).toEqual([]);
        }));

      it("gets a random name by being created, once", () =>
        withLog((log) => {
          log.create();
          const { name } = log;
          expect(name).toMatch(/^[0-9a-f-]{36}$/);
          log.create();
          expect(log.name).toBe(name);
          expect([log.head, log.oldest]).toEqual([0, 1]);
        }));

      it("is created by the first append", () =>
        withLog((log) => {
          log.append([newEvent()], NOON, 1);
          expect(log.name).toMatch(/^[0-9a-f-]{36}$/);
        }));
    });

    describe("ids", () => {
      it("start at 1 and rise by 1 without holes, across batches", () =>
        withLog((log) => {
          const receipts = [
            ...log.append(newEvents(2), NOON, 1),
            ...log.append(newEvents(1), NOON, 1),
            ...log.append(newEvents(3), NOON, 1),
          ];
          expect(receipts.map((receipt) => receipt.seq)).toEqual([1, 2, 3, 4, 5, 6]);
          expect([log.head, log.oldest]).toEqual([6, 1]);
          expect(eventsOf(log).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6]);
        }));

      it("do not move when nothing is appended", () =>
        withLog((log) => {
          expect(log.append([], NOON, 1)).toEqual([]);
          expect(log.head).toBe(0);
        }));

      it("are never given out again, also after the log was trimmed to nothing", () =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          log.trim(5);
          expect([log.head, log.oldest]).toEqual([5, 6]);
          expect(log.append([newEvent()], NOON, 6)[0]?.seq).toBe(6);
          expect([log.head, log.oldest]).toEqual([6, 6]);
        }));
    });

    describe("content", () => {
      it("comes back exactly as it was appended", () =>
        withLog((log) => {
          const contents = [
            { type: "a.b:c-d_e", data: '{"text":"äöü € 😀 \\u0000 \' \\" -- ;"}', projectId: "7", agentId: "ä 😀" },
            { data: "null", projectId: "", agentId: null },
            { data: JSON.stringify("x".repeat(65_000)), projectId: null, agentId: "0" },
          ];
          log.append(contents.map(newEvent), NOON, 1);
          expect(eventsOf(log)).toEqual(
            contents.map((content, index) => ({
              type: "tick",
              ...content,
              seq: index + 1,
              publishedAt: NOON,
            })),
          );
        }));

      it("carries the time at which it was stored, which never decreases when the clock is set back", () =>
        withLog((log) => {
          log.append([newEvent()], NOON, 1);
          log.append([newEvent()], NOON - 60_000, 1);
          log.append([newEvent()], NOON + 1, 1);
          expect(eventsOf(log).map((event) => event.publishedAt)).toEqual([NOON, NOON, NOON + 1]);
          log.trim(3);
          log.append([newEvent()], NOON - 60_000, 4);
          expect(log.stamp(4).publishedAt).toBe(NOON + 1);
        }));
    });

    describe("scan", () => {
      it("visits what comes after an id, in order", () =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          expect(eventsOf(log, 3).map((event) => event.seq)).toEqual([4, 5]);
          expect(eventsOf(log, 5)).toEqual([]);
          expect(eventsOf(log, 99)).toEqual([]);
        }));

      it("starts with the oldest when the id is older", () =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          log.trim(3);
          expect(eventsOf(log, 0).map((event) => event.seq)).toEqual([4, 5]);
        }));

      it("ends when the visitor has seen enough, and can be done again", () =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          const visited: number[] = [];
          log.scan(1, (event) => {
            visited.push(event.seq);
            return event.seq < 3;
          });
          expect(visited).toEqual([2, 3]);
          expect(eventsOf(log)).toHaveLength(5);
        }));
    });

    describe("stamps", () => {
      it("add up the sizes of all events", () =>
        withLog((log) => {
          const events = [newEvent({ data: '"äöü"' }), newEvent({ key: "k" }), newEvent({ projectId: "12" })];
          log.append(events, NOON, 1);
          let sum = 0;
          for (const [index, event] of events.entries()) {
            sum += sizeOf(event);
            expect(log.stamp(index + 1)).toMatchObject({ publishedAt: NOON, endOffset: sum });
          }
        }));

      it("count the data in UTF-8", () =>
        withLog((log) => {
          log.append([newEvent({ data: '"aaa"' }), newEvent({ data: '"äää"' })], NOON, 1);
          const [ascii, accented] = [log.stamp(1).endOffset, log.stamp(2).endOffset - log.stamp(1).endOffset];
          expect(accented - ascii).toBe(3);
        }));

      it("of the last trimmed event is kept, so that the sizes of what is left still come out", () =>
        withLog((log) => {
          log.append(newEvents(4), NOON, 1);
          const before = [log.stamp(2), log.stamp(3)].map(({ publishedAt, endOffset }) => ({
            publishedAt,
            endOffset,
          }));
          log.trim(2);
          expect(log.stamp(2)).toMatchObject(before[0] ?? {});
          expect(log.stamp(3)).toMatchObject(before[1] ?? {});
          log.trim(4);
          log.append([newEvent()], NOON, 5);
          expect(log.stamp(5).endOffset - log.stamp(4).endOffset).toBe(sizeOf(newEvent()));
        }));

      it.each([-1, 0, 1, 6, 99])("refuse event %d when 3 to 5 are kept", (seq) =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          log.trim(2);
          expect(() => log.stamp(seq)).toThrow();
        }),
      );
    });

    describe("idempotency keys", () => {
      it("answer the first id and store nothing", () =>
        withLog((log) => {
          log.append([newEvent({ key: "a" })], NOON, 1);
          const before = log.stamp(1).endOffset;
          const receipts = log.append([newEvent({ key: "a" })], NOON + 5, 1);
          expect(receipts).toEqual([{ seq: 1, type: "tick", duplicate: true, conflict: false }]);
          expect([log.head, log.stamp(log.head).endOffset]).toEqual([1, before]);
          expect(eventsOf(log)).toHaveLength(1);
        }));

      it.each([
        ["type", { type: "tock" }],
        ["data", { data: '{"a":1}' }],
        ["project", { projectId: "1" }],
        ["agent", { agentId: "1" }],
      ])("report a conflict when the %s differs, and keep the first one", (_, other) =>
        withLog((log) => {
          log.append([newEvent({ key: "a" })], NOON, 1);
          const first = eventsOf(log);
          expect(log.append([newEvent({ key: "a", ...other })], NOON, 1)[0]).toMatchObject({
            seq: 1,
            duplicate: true,
            conflict: true,
          });
          expect(eventsOf(log)).toEqual(first);
        }),
      );

      it("make the later one of a batch the duplicate, and leave no hole", () =>
        withLog((log) => {
          const keys = ["a", null, "a", "b", "b", null, "a"];
          const receipts = log.append(
            keys.map((key) => newEvent({ key })),
            NOON,
            1,
          );
          expect(receipts.map((receipt) => receipt.seq)).toEqual([1, 2, 1, 3, 3, 4, 1]);
          expect(receipts.map((receipt) => receipt.duplicate)).toEqual([
            false,
            false,
            true,
            false,
            true,
            false,
            true,
          ]);
          expect(log.head).toBe(4);
        }));

      it("are compared exactly", () =>
        withLog((log) => {
          const keys = ["a", "A", "a ", "ä", "a\u0308", "a\u0000", "a\u0000b", "😀", "'", "%"];
          const receipts = log.append(
            keys.map((key) => newEvent({ key })),
            NOON,
            1,
          );
          expect(receipts.filter((receipt) => receipt.duplicate)).toEqual([]);
          const again = log.append(
            keys.map((key) => newEvent({ key })),
            NOON,
            1,
          );
          expect(again.map((receipt) => receipt.seq)).toEqual(receipts.map((receipt) => receipt.seq));
        }));

      it("are free again once their event is trimmed", () =>
        withLog((log) => {
          log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 1);
          log.trim(1);
          const receipts = log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 2);
          expect(receipts.map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
            [3, false],
            [2, true],
          ]);
        }));

      it("are free again once their event is too old to be kept, though it is not trimmed", () =>
        withLog((log) => {
          log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 1);
          const receipts = log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 2);
          expect(receipts.map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
            [3, false],
            [2, true],
          ]);
          const again = log.append([newEvent({ key: "a", data: "1" })], NOON, 2);
          expect(again[0]).toMatchObject({ seq: 3, duplicate: true, conflict: true });
          expect(eventsOf(log).map((event) => event.seq)).toEqual([1, 2, 3]);
        }));
    });

    describe("trim", () => {
      it("deletes up to and including an id", () =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          log.trim(2);
          expect([log.oldest, log.head]).toEqual([3, 5]);
          expect(eventsOf(log).map((event) => event.seq)).toEqual([3, 4, 5]);
        }));

      it("of what is gone already changes nothing", () =>
        withLog((log) => {
          log.append(newEvents(5), NOON, 1);
          log.trim(2);
          log.trim(2);
          expect([log.oldest, log.head]).toEqual([3, 5]);
        }));

      it("beyond the head is refused", () =>
        withLog((log) => {
          log.append(newEvents(2), NOON, 1);
          expect(() => log.trim(3)).toThrow();
          expect([log.oldest, log.head]).toEqual([1, 2]);
          expect(eventsOf(log)).toHaveLength(2);
        }));
    });

    describe("sync", () => {
      it("resolves", () =>
        withLog(async (log) => {
          log.append(newEvents(1), NOON, 1);
          await expect(log.sync()).resolves.toBeUndefined();
        }));
    });

    describe("after a restart", () => {
      it("is what it was", () =>
        withLog((log, reopen) => {
          log.append([newEvent({ key: "a" }), ...newEvents(4)], NOON, 1);
          log.trim(2);
          const before = stateOf(log);
          const again = reopen();
          expect(stateOf(again)).toEqual(before);
          expect(again.append([newEvent()], NOON, 3)[0]?.seq).toBe(6);
        }));

      it("goes on after its head though it was trimmed to nothing", () =>
        withLog((log, reopen) => {
          log.append(newEvents(5), NOON, 1);
          log.trim(5);
          const before = stateOf(log);
          const again = reopen();
          expect(stateOf(again)).toEqual(before);
          again.append([newEvent()], NOON - 1, 6);
          expect(eventsOf(again)).toMatchObject([{ seq: 6, publishedAt: NOON }]);
        }));

      it("knows its keys", () =>
        withLog((log, reopen) => {
          log.append([newEvent({ key: "a" })], NOON, 1);
          expect(reopen().append([newEvent({ key: "a" })], NOON, 1)[0]).toMatchObject({
            seq: 1,
            duplicate: true,
          });
        }));

      it("has no name when it was never created", () =>
        withLog((_log, reopen) => {
          const again = reopen();
          expect([again.name, again.head, again.oldest]).toEqual([null, 0, 1]);
        }));
    });

    it("does what a list would do, whatever is appended, trimmed and restarted", async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 25 }), (operations) =>
          withLog((log, reopen) => compareWithList(log, reopen, operations)),
        ),
        { numRuns: propertyRuns },
      );
    });
  });
}

type Operation =
  | { readonly kind: "append"; readonly events: readonly NewEvent[]; readonly passedMs: number }
  | { readonly kind: "age" | "trim"; readonly share: number }
  | { readonly kind: "restart" };

const event = fc
  .record({
    type: fc.constantFrom("tick", "tock"),
    data: fc.json({ maxDepth: 1 }),
    key: fc.option(fc.constantFrom("a", "b", "c", "d"), { freq: 2 }),
    projectId: fc.option(fc.constantFrom("1", "2")),
  })
  .map(newEvent);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("append" as const),
      events: fc.array(event, { maxLength: 4 }),
      passedMs: fc.integer({ min: -5, max: 20 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("age" as const, "trim" as const),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
);

/** The naive model: every event there ever was, of which some are kept. */
function compareWithList(first: EventLog, reopen: () => EventLog, operations: readonly Operation[]): void {
  const all: (NewEvent & StoredEvent)[] = [];
  let log = first;
  let oldest = 1;
  let keptFrom = 1;
  let now = NOON;
  for (const step of operations) {
    if (step.kind === "append") {
      now += step.passedMs;
      const publishedAt = Math.max(now, all.at(-1)?.publishedAt ?? 0);
      const expected = step.events.map((each) => {
        const known = all.find((one) => each.key !== null && one.key === each.key && one.seq >= keptFrom);
        if (known === undefined) {
          all.push({ ...each, seq: all.length + 1, publishedAt });
          return { seq: all.length, type: each.type, duplicate: false, conflict: false };
        }
        const conflict =
          known.type !== each.type || known.data !== each.data || known.projectId !== each.projectId;
        return { seq: known.seq, type: each.type, duplicate: true, conflict };
      });
      expect(log.append(step.events, now, keptFrom)).toEqual(expected);
    } else if (step.kind === "restart") {
      log = reopen();
    } else {
      const through = oldest - 1 + Math.round(step.share * (all.length - oldest + 1));
      keptFrom = Math.max(keptFrom, through + 1);
      if (step.kind === "trim") {
        log.trim(through);
        oldest = through + 1;
      }
    }
    expect([log.head, log.oldest]).toEqual([all.length, oldest]);
    expect(eventsOf(log)).toEqual(
      all.slice(oldest - 1).map(({ seq, type, projectId, agentId, data, publishedAt }) => ({
        seq,
        type,
        projectId,
        agentId,
        data,
        publishedAt,
      })),
    );
    const sizes = all.map(sizeOf);
    for (let seq = oldest - 1; seq <= all.length; seq++) {
      expect(log.stamp(seq)).toMatchObject({
        publishedAt: all[seq - 1]?.publishedAt ?? 0,
        endOffset: sizes.slice(0, seq).reduce((sum, size) => sum + size, 0),
      });
    }
  }
}

function eventsOf(log: EventLog, after = 0): StoredEvent[] {
  const events: StoredEvent[] = [];
  log.scan(after, ({ seq, type, projectId, agentId, data, publishedAt }) => {
    events.push({ seq, type, projectId, agentId, data, publishedAt });
    return true;
  });
  return events;
}

function stateOf(log: EventLog): object {
  const stamps = [log.oldest - 1, log.head].map((seq) => {
    const { publishedAt, endOffset } = log.stamp(seq);
    return { publishedAt, endOffset };
  });
  return { name: log.name, head: log.head, oldest: log.oldest, stamps, events: eventsOf(log) };
}
