import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import type { NewEvent } from "../../../src/hub/log/event-log.ts";
import { createFilter, type FilterTerms } from "../../../src/hub/filter.ts";
import { FakeHub } from "../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../support/hub/fake-stream.ts";
import { dataOf } from "../../support/hub/frames.ts";
import { newEvent } from "../../support/hub/new-event.ts";

type Action =
  | { readonly kind: "publish"; readonly events: readonly NewEvent[] }
  | {
      readonly kind: "connect";
      readonly terms: FilterTerms;
      readonly from: "live" | "earliest" | "id";
      readonly share: number;
      /** After how many ms the token ends. */
      readonly endsIn: number | null;
    }
  | { readonly kind: "stall" | "resume" | "leave" | "break" | "reconnect"; readonly whom: number }
  | { readonly kind: "late"; readonly whom: number; readonly ms: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "hold" | "release" | "restart" | "failReads" | "mendReads" };

const event = fc
  .record({
    type: fc.constantFrom("a", "b", "ab"),
    fields: fc.record({ project_id: fc.constantFrom("1", "2") }, { requiredKeys: [] }),
    key: fc.option(fc.constantFrom("k", "l", "m"), { freq: 4 }),
    data: fc.constantFrom("1", '"€"', JSON.stringify("x".repeat(30_000))),
  })
  .map(newEvent);

const terms: fc.Arbitrary<FilterTerms> = fc.record(
  {
    types: fc.constantFrom(["a"], ["a*"], ["b", "ab"], ["*"]),
    fields: fc.record({ project_id: fc.constantFrom(["1"], ["1", "2"]) }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
);

const whom = fc.nat(7);

const endsIn: fc.Arbitrary<number | null> = fc.constantFrom(null, 1, 30, 5_000, 31_000, 45_000);

function weighted(
  weight: number,
  arbitrary: fc.Arbitrary<Action>,
): { weight: number; arbitrary: fc.Arbitrary<Action> } {
  return { weight, arbitrary };
}

const action: fc.Arbitrary<Action> = fc.oneof(
  weighted(
    10,
    fc.record({ kind: fc.constant("publish"), events: fc.array(event, { minLength: 1, maxLength: 12 }) }),
  ),
  weighted(
    4,
    fc.record({
      kind: fc.constant("connect"),
      terms,
      from: fc.constantFrom("live", "earliest", "id"),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      endsIn,
    }),
  ),
  weighted(6, fc.record({ kind: fc.constantFrom("stall", "resume", "leave", "break", "reconnect"), whom })),
  weighted(2, fc.record({ kind: fc.constant("late"), whom, ms: fc.constantFrom(5, 30, 200, 2_000) })),
  weighted(
    5,
    fc.record({ kind: fc.constant("advance"), ms: fc.constantFrom(1, 25, 200, 3_000, 8_000, 20_000) }),
  ),
  weighted(2, fc.record({ kind: fc.constantFrom("hold", "release", "failReads", "mendReads") })),
  weighted(1, fc.record({ kind: fc.constant("restart") })),
);

/** One client over all its streams: its request, and everything that it was sent. */
interface Viewer {
  readonly terms: FilterTerms;
  stream: FakeStream;
  /** Everything that its earlier streams have sent. */
  readonly before: Step[];
}

/** Something that a viewer was sent: the start of a stream, a gap, or an event. */
type Step =
  | { readonly kind: "connected"; readonly cursor: number }
  | { readonly kind: "gap"; readonly cursor: number; readonly requested: string; readonly reason: unknown }
  | { readonly kind: "event"; readonly id: number; readonly data: string };

/** A hub under random use, and a list of all published events. */
class World {
  readonly hub: FakeHub;
  readonly published: (NewEvent & { id: number })[] = [];
  readonly viewers: Viewer[] = [];

  constructor() {
    this.hub = new FakeHub({
      settings: {
        heartbeatIntervalMs: 4_000,
        connectionTimeoutMs: 10_000,
        maxConnections: 50,
        maxStreamAgeMs: 60_000,
        retention: { maxEvents: 40, maxAgeMs: 30_000, maxBytes: 900_000 },
      },
    });
  }

  async act(step: Action): Promise<void> {
    const { hub } = this;
    const viewer = "whom" in step ? this.viewers[step.whom % Math.max(1, this.viewers.length)] : undefined;
    switch (step.kind) {
      case "publish":
        void this.#publish(step.events);
        break;
      case "connect": {
        const lastEventId = step.from === "id" ? Math.round(step.share * hub.hub.health().lastEventId) : null;
        const since = step.from === "earliest" ? "earliest" : null;
        const endsAt = step.endsIn === null ? null : hub.clock.now() + step.endsIn;
        const { stream, entered } = hub.ask({ terms: step.terms, lastEventId, since, endsAt });
        this.viewers.push({ terms: step.terms, stream, before: [] });
        void entered;
        break;
      }
      case "late":
        viewer?.stream.takeAfter(hub.clock, step.ms);
        break;
      case "reconnect":
        this.#reconnect(viewer);
        break;
      case "advance":
        await hub.clock.advance(step.ms);
        break;
      case "hold":
        hub.log.hold();
        break;
      case "release":
        hub.log.release();
        break;
      case "restart":
        this.#restart();
        break;
      case "failReads":
        hub.log.failing = true;
        break;
      case "mendReads":
        hub.log.failing = false;
        break;
      default:
        viewer?.stream[step.kind]();
    }
    await hub.clock.settle();
  }

  /** All clients read, all events become durable, and clients without a stream reconnect. */
  async comeToRest(): Promise<void> {
    const { log, clock } = this.hub;
    log.failing = false;
    log.release();
    for (const viewer of this.viewers) {
      viewer.stream.resume();
    }
    await clock.advance(5_000);
    for (const viewer of this.viewers) {
      this.#reconnect(viewer);
    }
    await clock.advance(5_000);
  }

  /** Everything that a viewer was sent, over all its streams. */
  stepsOf({ before, stream }: Viewer): Step[] {
    return [...before, ...stepsOf(stream)];
  }

  async #publish(events: readonly NewEvent[]): Promise<void> {
    const before = this.hub.log.head;
    const publishing = this.hub.hub.publish(events, null);
    for (let id = before + 1; id <= this.hub.log.head; id++) {
      this.published.push({ ...newEvent(), id });
    }
    const receipts = await publishing;
    for (const [index, receipt] of receipts.entries()) {
      const sent = events[index];
      if (!receipt.duplicate && sent !== undefined) {
        this.published[receipt.seq - 1] = { ...sent, id: receipt.seq };
      }
    }
  }

  #reconnect(viewer: Viewer | undefined): void {
    if (viewer === undefined) {
      return;
    }
    viewer.before.push(...stepsOf(viewer.stream));
    const { lastEventId } = viewer.stream.seen;
    viewer.stream.leave();
    const { stream } = this.hub.ask({
      terms: viewer.terms,
      lastEventId: lastEventId === "" ? null : lastEventId,
    });
    viewer.stream = stream;
  }

  /** The object is lost with its streams. This log keeps the events that were not durable. */
  #restart(): void {
    this.hub.log.release();
    for (const { stream } of this.viewers) {
      stream.leave();
    }
    this.hub.restart();
  }
}

function stepsOf(stream: FakeStream): Step[] {
  return stream.seen.events.flatMap((each): Step[] => {
    const data = dataOf(each);
    switch (each.type) {
      case "connected":
        return [{ kind: "connected", cursor: Number(data["last_event_id"]) }];
      case "gap": {
        const { requested_id: requested, reason } = data;
        return [{ kind: "gap", cursor: Number(each.id), requested: String(requested), reason }];
      }
      case "error":
      case "close":
        return [];
      default:
        return [{ kind: "event", id: Number(each.id), data: each.data }];
    }
  });
}

describe("the hub under random use", () => {
  it("gives every client exactly its events in increasing order, or a gap for the missing ones", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 60 }), async (actions) => {
        const world = new World();
        for (const step of actions) {
          await world.act(step);
        }
        await world.comeToRest();
        for (const viewer of world.viewers) {
          expect(faultsOf(world, viewer)).toEqual([]);
        }
        expect(
          world.hub.logged("tick_failed").filter(({ fields }) => !String(fields["error"]).includes("disk")),
        ).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});

/** The mistakes in the frames that a viewer got. */
function faultsOf(world: World, viewer: Viewer): string[] {
  const filter = createFilter(viewer.terms);
  const owed = (after: number, through: number): number[] =>
    world.published
      .filter((each) => each.id > after && each.id <= through && filter.matches(each))
      .map(({ id }) => id);
  const faults: string[] = [];
  const steps = world.stepsOf(viewer);
  let at: number | null = null;
  for (const [index, step] of steps.entries()) {
    if (step.kind === "event") {
      const stored = world.published[step.id - 1];
      const missing = owed(at ?? step.id, step.id - 1);
      if (at === null || step.id <= at) {
        faults.push(`event ${step.id} came after ${at}`);
      }
      if (missing.length > 0) {
        faults.push(`between ${at} and ${step.id} ${missing.join()} is missing`);
      }
      if (stored === undefined || !filter.matches(stored) || stored.data !== step.data) {
        faults.push(`event ${step.id} differs from the published event, or does not match this filter`);
      }
      at = step.id;
      continue;
    }
    if (at !== null && step.cursor < at) {
      faults.push(`went back from ${at} to ${step.cursor}`);
    }
    const isExplained = step.kind === "gap" || steps[index + 1]?.kind === "gap";
    const missing = owed(at ?? step.cursor, step.cursor);
    if (!isExplained && missing.length > 0) {
      faults.push(`a stream began after ${step.cursor}, not after ${at}: ${missing.join()} is missing`);
    }
    if (step.kind === "gap" && (step.reason !== "expired" || Number(step.requested) >= step.cursor)) {
      faults.push(`a gap from ${step.requested} to ${step.cursor}, ${String(step.reason)}, that was none`);
    }
    at = step.cursor;
  }
  const missing = owed(at ?? 0, world.published.length);
  if (at === null || missing.length > 0) {
    faults.push(`after ${at} ${missing.join()} never came`);
  }
  return faults;
}
