import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import {
  sizeOf,
  type Appended,
  type AppendedEvent,
  type EventLog,
  type NewEvent,
  type Receipt,
  type StoredEvent,
} from "../../../src/hub/log/event-log.ts";
import { HubError } from "../../../src/hub/errors.ts";
import { createFilter } from "../../../src/hub/filter.ts";
import { encodeEvent } from "../../../src/sse/encode.ts";
import { newEvent, newEvents } from "./new-event.ts";
import { eventsOf } from "./read-log.ts";

/** The place where a log is stored. */
export interface LogHost {
  /**
   * Runs a test with a new log that is not created yet. `reopen` returns the log as a restart finds it in the same
   * storage. Do not use the old log after that.
   */
  withLog(test: (log: EventLog, reopen: () => EventLog) => void | Promise<void>): Promise<void>;
  /** How often the property test runs: a log in memory is cheaper than a log on a disk. */
  readonly propertyRuns: number;
}

/** More bytes than any log in these tests has. */
const MUCH = 1024 ** 3;

const NOON = Date.UTC(2026, 0, 29, 12);

/** The promises of every event log, wherever it is stored. Called inside a `describe`. */
export function registerEventLogTests({ withLog, propertyRuns }: LogHost): void {
  describe("before it is created", () => {
    it("is empty and has no name", () =>
      withLog((log) => {
        expect(log.name).toBeNull();
        expect([log.head, log.oldest]).toEqual([0, 1]);
        expect(log.stamp(0)).toMatchObject({ publishedAt: 0, endOffset: 0 });
        expect(eventsOf(log)).toEqual([]);
      }));

    it("gets a random name when it is created, and keeps it", () =>
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
          ...log.append(newEvents(2), NOON, 1).receipts,
          ...log.append(newEvents(1), NOON, 1).receipts,
          ...log.append(newEvents(3), NOON, 1).receipts,
        ];
        expect(receipts.map((receipt) => receipt.seq)).toEqual([1, 2, 3, 4, 5, 6]);
        expect([log.head, log.oldest]).toEqual([6, 1]);
        expect(eventsOf(log).map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6]);
      }));

    it("do not change if nothing is appended", () =>
      withLog((log) => {
        expect(log.append([], NOON, 1)).toEqual({ receipts: [], stored: [] });
        expect(log.head).toBe(0);
      }));

    it("are never reused, even after the log was trimmed to nothing", () =>
      withLog((log) => {
        log.append(newEvents(5), NOON, 1);
        log.trim(5);
        expect([log.head, log.oldest]).toEqual([5, 6]);
        expect(log.append([newEvent()], NOON, 6).receipts[0]?.seq).toBe(6);
        expect([log.head, log.oldest]).toEqual([6, 6]);
      }));
  });

  describe("content", () => {
    it("is read exactly as it was appended", () =>
      withLog((log) => {
        const contents = [
          {
            type: "a.b:c-d_e",
            data: '{"text":"äöü € 😀 \\u0000 \' \\" -- ;"}',
            fields: { project_id: "7", agent_id: "ä 😀" },
          },
          { data: "null", fields: { project_id: "" } },
          { data: JSON.stringify("x".repeat(65_000)), fields: { agent_id: "0" } },
          { data: ":\r\n: \u0001 😀", isText: true, fields: {} },
          { data: "1", isText: true, fields: {} },
        ];
        log.append(contents.map(newEvent), NOON, 1);
        expect(eventsOf(log)).toEqual(
          contents.map((content, index) => ({
            type: "tick",
            isText: false,
            ...content,
            seq: index + 1,
            publishedAt: NOON,
          })),
        );
      }));

    it("has the time at which it was stored, which never decreases if the clock is set back", () =>
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

  describe("a read", () => {
    it("returns the events after an id, in order", () =>
      withLog((log) => {
        log.append(newEvents(5), NOON, 1);
        expect(log.read(3, MUCH, "all").map((each) => each.seq)).toEqual([4, 5]);
        expect(log.read(5, MUCH, "all")).toEqual([]);
        expect(log.read(99, MUCH, "all")).toEqual([]);
      }));

    it("starts with the oldest event if the id is older", () =>
      withLog((log) => {
        log.append(newEvents(5), NOON, 1);
        log.trim(3);
        expect(log.read(0, MUCH, "all").map((each) => each.seq)).toEqual([4, 5]);
      }));

    it("returns nothing if the log is empty or was trimmed to nothing", () =>
      withLog((log) => {
        expect(log.read(0, MUCH, "all")).toEqual([]);
        log.append(newEvents(3), NOON, 1);
        log.trim(3);
        for (const after of [0, 2, 3, 4]) {
          expect(log.read(after, MUCH, "all")).toEqual([]);
        }
      }));

    it("returns as many events as fit by their sizes, but at least one", () =>
      withLog((log) => {
        const events = [10, 20, 30, 40].map((length) =>
          newEvent({ data: JSON.stringify("x".repeat(length)) }),
        );
        log.append(events, NOON, 1);
        const [, second = 0, third = 0] = events.map(sizeOf);
        const seqs = (maxBytes: number): number[] => log.read(1, maxBytes, "frame").map((each) => each.seq);
        expect(seqs(second + third)).toEqual([2, 3]);
        expect(seqs(second + third - 1)).toEqual([2]);
        expect(seqs(second)).toEqual([2]);
        expect(seqs(1)).toEqual([2]);
      }));

    it("counts sizes from its start, also after a trim", () =>
      withLog((log) => {
        log.append(newEvents(10), NOON, 1);
        log.trim(4);
        const size = sizeOf(newEvent());
        expect(log.read(0, 2 * size, "frame").map((each) => each.seq)).toEqual([5, 6]);
        expect(log.read(7, 2 * size, "frame").map((each) => each.seq)).toEqual([8, 9]);
      }));

    it("never returns an event whose frame is larger than its size", () =>
      withLog((log) => {
        log.append([newEvent({ type: "x".repeat(64), data: '"€😀"' })], NOON, 1);
        const [stored] = log.read(0, MUCH, "frame");
        const frame = encodeEvent(stored?.type ?? "", Number.MAX_SAFE_INTEGER, stored?.data ?? "");
        expect(new TextEncoder().encode(frame).byteLength).toBeLessThanOrEqual(log.stamp(1).endOffset);
      }));

    it("returns the requested fields of each event", () =>
      withLog((log) => {
        log.append([newEvent({ fields: { project_id: "7", agent_id: "8" }, data: "9" })], NOON, 1);
        const frame = { seq: 1, type: "tick", data: "9" };
        const filterable = { ...frame, fields: { project_id: "7", agent_id: "8" } };
        expect(log.read(0, MUCH, "frame")).toMatchObject([frame]);
        expect(log.read(0, MUCH, "filterable")).toMatchObject([filterable]);
        expect(log.read(0, MUCH, "all")).toMatchObject([{ ...filterable, publishedAt: NOON }]);
      }));

    it("reaches the end of a long log in bounded parts", () =>
      withLog((log) => {
        for (let count = 0; count < 6; count++) {
          log.append(newEvents(1_000), NOON, 1);
        }
        expect(eventsOf(log).map((each) => each.seq)).toEqual(
          Array.from({ length: 6_000 }, (_, index) => index + 1),
        );
      }));
  });

  describe("an outline", () => {
    it("returns the fields that filters compare, and the size, of the events after an id", () =>
      withLog((log) => {
        const events = [
          newEvent({ type: "a", fields: { project_id: "7", agent_id: "x" } }),
          newEvent({ type: "b", data: JSON.stringify("x".repeat(20_000)) }),
          newEvent({ type: "c", key: "k" }),
        ];
        log.append(events, NOON, 1);
        const expected = events.map((each, index) => ({
          seq: index + 1,
          type: each.type,
          fields: each.fields,
          size: sizeOf(each),
        }));
        expect(log.outline(0, 10, true)).toEqual(expected);
        expect(log.outline(0, 2, true)).toEqual(expected.slice(0, 2));
        expect(log.outline(1, 1, true)).toEqual(expected.slice(1, 2));
        expect(log.outline(3, 10, true)).toEqual([]);
        expect(log.outline(0, 10, false)).toMatchObject(
          expected.map(({ seq, type, size }) => ({ seq, type, size })),
        );
      }));

    it("starts with the oldest event, and is empty if no event is kept", () =>
      withLog((log) => {
        expect(log.outline(0, 10, true)).toEqual([]);
        log.append(newEvents(5), NOON, 1);
        log.trim(3);
        expect(log.outline(0, 10, false).map(({ seq, size }) => [seq, size])).toEqual([
          [4, sizeOf(newEvent())],
          [5, sizeOf(newEvent())],
        ]);
        log.trim(5);
        expect(log.outline(0, 10, false)).toEqual([]);
      }));
  });

  it("picks events by their ids, in order, and skips those that are no longer kept", () =>
    withLog((log) => {
      log.append(
        ["1", "2", "3", "4", "5"].map((data) => newEvent({ data, fields: { project_id: data } })),
        NOON,
        1,
      );
      log.trim(2);
      expect(log.pick([1, 3, 5, 9])).toMatchObject([
        { seq: 3, type: "tick", data: "3", fields: { project_id: "3" }, publishedAt: NOON },
        { seq: 5, type: "tick", data: "5", fields: { project_id: "5" }, publishedAt: NOON },
      ]);
      expect(log.pick([])).toEqual([]);
    }));

  describe("stamps", () => {
    it("add up the sizes of all events", () =>
      withLog((log) => {
        const events = [
          newEvent({ data: '"äöü"' }),
          newEvent({ key: "k" }),
          newEvent({ fields: { project_id: "12" } }),
        ];
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

    it("include the last trimmed event, so that the sizes of the kept events are still known", () =>
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

    it.each([-1, 0, 1, 6, 99])("are refused for event %d if 3 to 5 are kept", (seq) =>
      withLog((log) => {
        log.append(newEvents(5), NOON, 1);
        log.trim(2);
        expect(() => log.stamp(seq)).toThrow(Error);
      }),
    );
  });

  describe("idempotency keys", () => {
    it("of a kept event return its id and store nothing", () =>
      withLog((log) => {
        log.append([newEvent({ key: "a" })], NOON, 1);
        const before = log.stamp(1).endOffset;
        const { receipts } = log.append([newEvent({ key: "a" })], NOON + 5, 1);
        expect(receipts).toEqual([{ seq: 1, type: "tick", duplicate: true, conflict: false }]);
        expect([log.head, log.stamp(log.head).endOffset]).toEqual([1, before]);
        expect(eventsOf(log)).toHaveLength(1);
      }));

    it.each([
      ["type", { type: "tock" }],
      ["data", { data: '{"a":1}' }],
      ["text", { isText: true }],
      ["project", { fields: { project_id: "1" } }],
      ["agent", { fields: { agent_id: "1" } }],
    ])("report a conflict if the %s differs, and keep the first event", (_, other) =>
      withLog((log) => {
        log.append([newEvent({ key: "a" })], NOON, 1);
        const first = eventsOf(log);
        expect(log.append([newEvent({ key: "a", ...other })], NOON, 1).receipts[0]).toMatchObject({
          seq: 1,
          duplicate: true,
          conflict: true,
        });
        expect(eventsOf(log)).toEqual(first);
      }),
    );

    it("make the later event of a batch the duplicate, and leave no hole in the ids", () =>
      withLog((log) => {
        const keys = ["a", null, "a", "b", "b", null, "a"];
        const { receipts } = log.append(
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
        const { receipts } = log.append(
          keys.map((key) => newEvent({ key })),
          NOON,
          1,
        );
        expect(receipts.filter((receipt) => receipt.duplicate)).toEqual([]);
        const { receipts: again } = log.append(
          keys.map((key) => newEvent({ key })),
          NOON,
          1,
        );
        expect(again.map((receipt) => receipt.seq)).toEqual(receipts.map((receipt) => receipt.seq));
      }));

    it("of events outside the publisher's grant are taken: nothing of the batch is stored, and no id is revealed", () =>
      withLog((log, reopen) => {
        const grant = createFilter({ types: ["tick"], fields: { project_id: ["7"] } });
        const mine = newEvent({ key: "mine", fields: { project_id: "7" } });
        log.append(
          [mine, newEvent({ key: "theirs", fields: { project_id: "8" } }), newEvent({ key: "nobody's" })],
          NOON,
          1,
        );
        const batch = [
          newEvent({ fields: { project_id: "7" } }),
          newEvent({ key: "nobody's", fields: { project_id: "7" } }),
          mine,
          newEvent({ key: "theirs", fields: { project_id: "7" } }),
        ];
        const refusal = refusalOf(() => log.append(batch, NOON + 1, 1, grant));
        expect(refusal).toMatchObject({ code: "key_taken" });
        expect(refusal?.errors.map(({ index, field }) => [index, field])).toEqual([
          [1, "key"],
          [3, "key"],
        ]);
        for (const open of [() => log, reopen]) {
          const each = open();
          expect([each.head, eventsOf(each).length]).toEqual([3, 3]);
        }
      }));

    it("of events within the publisher's grant, or of its own batch, make duplicates", () =>
      withLog((log) => {
        const grant = createFilter({ fields: { project_id: ["7"] } });
        const mine = newEvent({ key: "a", fields: { project_id: "7" } });
        expect(log.append([mine, mine], NOON, 1, grant).receipts).toMatchObject([
          { seq: 1, duplicate: false },
          { seq: 1, duplicate: true, conflict: false },
        ]);
        expect(log.append([mine], NOON, 1, grant).receipts).toMatchObject([{ seq: 1, duplicate: true }]);
        const other = newEvent({ key: "b", fields: { project_id: "8" } });
        log.append([other], NOON, 1);
        expect(
          log.append([{ ...other, fields: { project_id: "7" } }], NOON, 3, grant).receipts,
        ).toMatchObject([{ seq: 3, duplicate: false }]);
      }));

    it("are free again once their event is trimmed", () =>
      withLog((log) => {
        log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 1);
        log.trim(1);
        const { receipts } = log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 2);
        expect(receipts.map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
          [3, false],
          [2, true],
        ]);
      }));

    it("are free again once their event is too old, even if it is not trimmed", () =>
      withLog((log) => {
        log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 1);
        const { receipts } = log.append([newEvent({ key: "a" }), newEvent({ key: "b" })], NOON, 2);
        expect(receipts.map(({ seq, duplicate }) => [seq, duplicate])).toEqual([
          [3, false],
          [2, true],
        ]);
        const { receipts: again } = log.append([newEvent({ key: "a", data: "1" })], NOON, 2);
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

    it("changes nothing if the events are gone already", () =>
      withLog((log) => {
        log.append(newEvents(5), NOON, 1);
        log.trim(2);
        log.trim(2);
        expect([log.oldest, log.head]).toEqual([3, 5]);
      }));

    it("is refused beyond the head", () =>
      withLog((log) => {
        log.append(newEvents(2), NOON, 1);
        expect(() => log.trim(3)).toThrow(Error);
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
    it("has the same state", () =>
      withLog((log, reopen) => {
        log.append([newEvent({ key: "a" }), ...newEvents(4)], NOON, 1);
        log.trim(2);
        const before = stateOf(log);
        const again = reopen();
        expect(stateOf(again)).toEqual(before);
        expect(again.append([newEvent()], NOON, 3).receipts[0]?.seq).toBe(6);
      }));

    it("continues after its head even if it was trimmed to nothing", () =>
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
        expect(reopen().append([newEvent({ key: "a" })], NOON, 1).receipts[0]).toMatchObject({
          seq: 1,
          duplicate: true,
        });
      }));

    it("has no name if it was never created", () =>
      withLog((_log, reopen) => {
        const again = reopen();
        expect([again.name, again.head, again.oldest]).toEqual([null, 0, 1]);
      }));
  });

  it("behaves like a list for any sequence of appends, trims and restarts", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { maxLength: 25 }), (operations) =>
        withLog((log, reopen) => {
          const { actual, expected } = replay(log, reopen, operations);
          expect(actual).toEqual(expected);
        }),
      ),
      { numRuns: propertyRuns },
    );
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
    fields: fc.record({ project_id: fc.constantFrom("1", "2") }, { requiredKeys: [] }),
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

/** The naive model: all events that were ever appended, in a list. */
class ListLog {
  readonly all: (NewEvent & StoredEvent)[] = [];
  oldest = 1;
  keptFrom = 1;

  append(events: readonly NewEvent[], now: number): Appended {
    const publishedAt = Math.max(now, this.all.at(-1)?.publishedAt ?? 0);
    const stored: AppendedEvent[] = [];
    const receipts = events.map((each): Receipt => {
      const known = this.all.find(({ key, seq }) => key !== null && key === each.key && seq >= this.keptFrom);
      if (known !== undefined) {
        const isSame = (["type", "data", "fields"] as const).every(
          (name) => JSON.stringify(known[name]) === JSON.stringify(each[name]),
        );
        return { seq: known.seq, type: each.type, duplicate: true, conflict: !isSame };
      }
      const seq = this.all.length + 1;
      this.all.push({ ...each, seq, publishedAt });
      stored.push({ ...each, seq, publishedAt, size: sizeOf(each) });
      return { seq, type: each.type, duplicate: false, conflict: false };
    });
    return { receipts, stored };
  }

  /** The last seq of a share of the kept events. */
  reach(share: number): number {
    return this.oldest - 1 + Math.round(share * (this.all.length - this.oldest + 1));
  }

  state(): object {
    const stamps: object[] = [];
    for (let seq = this.oldest - 1; seq <= this.all.length; seq++) {
      const endOffset = this.all.slice(0, seq).reduce((sum, each) => sum + sizeOf(each), 0);
      stamps.push({ publishedAt: this.all[seq - 1]?.publishedAt ?? 0, endOffset });
    }
    const events = this.all
      .slice(this.oldest - 1)
      .map(({ dataBytes: _bytes, key: _key, ...stored }) => stored);
    return { head: this.all.length, oldest: this.oldest, stamps, events };
  }
}

/** Applies the same operations to a log and to the model. Returns the results of each step. */
function replay(
  first: EventLog,
  reopen: () => EventLog,
  operations: readonly Operation[],
): { actual: unknown[]; expected: unknown[] } {
  const model = new ListLog();
  const [actual, expected]: [unknown[], unknown[]] = [[], []];
  let log = first;
  let now = NOON;
  for (const step of operations) {
    if (step.kind === "append") {
      now += step.passedMs;
      actual.push(outcomeOf(log.append(step.events, now, model.keptFrom)));
      expected.push(outcomeOf(model.append(step.events, now)));
    } else if (step.kind === "restart") {
      log = reopen();
    } else {
      const through = model.reach(step.share);
      model.keptFrom = Math.max(model.keptFrom, through + 1);
      if (step.kind === "trim" && log.name !== null) {
        log.trim(through);
        model.oldest = through + 1;
      }
    }
    const { name: _name, ...state } = stateOf(log);
    actual.push(state);
    expected.push(model.state());
  }
  return { actual, expected };
}

/** An append without the fields that only one of the logs keeps on its rows. */
function outcomeOf({ receipts, stored }: Appended): Appended {
  return {
    receipts,
    stored: stored.map(({ seq, type, fields, data, isText, publishedAt, size }) => {
      return { seq, type, fields, data, isText, publishedAt, size };
    }),
  };
}

/** The refusal that a call throws; null if it throws none. */
function refusalOf(work: () => void): HubError | null {
  try {
    work();
    return null;
  } catch (error) {
    if (error instanceof HubError) {
      return error;
    }
    throw error;
  }
}

/** Everything that a log shows of its state. */
function stateOf(log: EventLog): { name: string | null; [fact: string]: unknown } {
  const stamps: object[] = [];
  for (let seq = log.oldest - 1; seq <= log.head; seq++) {
    const { publishedAt, endOffset } = log.stamp(seq);
    stamps.push({ publishedAt, endOffset });
  }
  return { name: log.name, head: log.head, oldest: log.oldest, stamps, events: eventsOf(log) };
}
