import { createParser } from "eventsource-parser";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createFilter, type FilterTerms } from "../../../src/hub/filter.ts";
import type { NewEvent } from "../../../src/hub/log/event-log.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import { FakeHub } from "../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../support/hub/fake-stream.ts";
import { newEvent } from "../../support/hub/new-event.ts";
import { RelayAudience } from "../../support/relay/relay-audience.ts";
import { UnrulyUpstream, type AnswerFault, type FrameFault } from "../../support/relay/unruly-upstream.ts";

const TAIL = { maxEvents: 20, maxBytes: 200_000 };
const SETTINGS = {
  heartbeatIntervalMs: 4_000,
  connectionTimeoutMs: 10_000,
  maxConnections: 50,
  retention: { maxEvents: 60, maxAgeMs: 90_000, maxBytes: 1_500_000 },
};

type Action =
  | { readonly kind: "publish"; readonly events: readonly NewEvent[] }
  | {
      readonly kind: "connect";
      readonly terms: FilterTerms;
      readonly from: "live" | "earliest" | "id";
      readonly share: number;
    }
  | { readonly kind: "stall" | "resume" | "leave" | "reconnect"; readonly whom: number }
  | { readonly kind: "advance"; readonly ms: number }
  | { readonly kind: "frame"; readonly faults: readonly FrameFault[] }
  | { readonly kind: "answer"; readonly faults: readonly AnswerFault[] }
  | { readonly kind: "cut" | "silence" | "refuse" | "hang" | "mend" | "wipe" | "restart" | "close" };

const event = fc
  .record({
    type: fc.constantFrom("a", "b", "ab"),
    projectId: fc.option(fc.constantFrom("1", "2")),
    data: fc.constantFrom("1", '"€"', JSON.stringify("x".repeat(30_000))),
  })
  .map(newEvent);

/** Few filters, so that clients share questions and pages. Only without a filter can a relay notice a hole in an answer. */
const terms = fc.constantFrom<FilterTerms[]>(
  {},
  {},
  {},
  { types: ["a"] },
  { types: ["a*"], projectIds: ["1", "2"] },
);

const frameFault = fc.constantFrom<FrameFault>("twice", "drop", "swap", "half", "rubbish", "late");
const answerFault = fc.constantFrom<AnswerFault>("late", "never", "refused", "failed", "hole", "disorder");
const whom = fc.nat(7);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      kind: fc.constant("publish"),
      events: fc.array(event, { minLength: 1, maxLength: 12 }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("connect"),
      terms,
      from: fc.constantFrom("live", "earliest", "id"),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom("stall", "resume", "leave", "reconnect"), whom }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("advance"),
      ms: fc.constantFrom(1, 25, 400, 3_000, 11_000, 20_000),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("frame"),
      faults: fc.array(frameFault, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("answer"),
      faults: fc.array(answerFault, { minLength: 1, maxLength: 3 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom("cut", "mend", "mend", "silence", "refuse", "hang") }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("wipe", "wipe", "restart", "close") }) },
);

/** The last id that a client has, and the log to which it belongs. Both change together. */
interface Position {
  readonly id: string | null;
  readonly log: string | null;
}

/** Something that a client was sent. */
type Step =
  | { readonly kind: "connected"; readonly log: string; readonly cursor: number }
  | { readonly kind: "gap"; readonly cursor: number; readonly requested: number; readonly reason: unknown }
  | { readonly kind: "event"; readonly id: number; readonly data: string };

interface Viewer {
  readonly terms: FilterTerms;
  stream: FakeStream;
  /** Its peer has left the present stream. */
  hasLeft: boolean;
  /** Where the present stream was asked to start. */
  asked: Position;
  readonly before: Step[];
}

/** A hub, a relay and its clients under random use. The hub can be replaced by one with another log. */
class World {
  readonly clock = new FakeClock();
  readonly hubs: FakeHub[] = [];
  readonly published = new Map<string, NewEvent[]>();
  readonly viewers: Viewer[] = [];
  readonly upstream: UnrulyUpstream;
  readonly relay: RelayAudience;
  mostBytes = 0;

  constructor() {
    this.upstream = new UnrulyUpstream(this.#newHub());
    const settings = { ...this.hub.settings, tail: TAIL };
    this.relay = new RelayAudience(this.upstream, settings, this.clock);
  }

  get hub(): FakeHub {
    return this.upstream?.hub ?? this.hubs[0];
  }

  async act(step: Action): Promise<void> {
    const { upstream } = this;
    const viewer = "whom" in step ? this.viewers[step.whom % Math.max(1, this.viewers.length)] : undefined;
    switch (step.kind) {
      case "publish":
        await this.#publish(step.events);
        break;
      case "connect": {
        const head = this.hub.log.head;
        const id = step.from === "id" ? String(Math.round(step.share * head)) : null;
        const asked = { id, log: id === null ? null : this.hub.log.name };
        const since = step.from === "earliest" ? "earliest" : null;
        const stream = this.relay.connect(step.terms, { lastEventId: id, logName: asked.log, since });
        this.viewers.push({ terms: step.terms, stream, hasLeft: false, asked, before: [] });
        break;
      }
      case "reconnect":
        this.reconnect(viewer);
        break;
      case "advance":
        await this.clock.advance(step.ms);
        break;
      case "frame":
        upstream.frameFaults.push(...step.faults);
        break;
      case "answer":
        upstream.answerFaults.push(...step.faults);
        break;
      case "cut":
        upstream.cut();
        break;
      case "silence":
        upstream.isSilent = true;
        break;
      case "refuse":
        upstream.away = "refuses";
        break;
      case "hang":
        upstream.away = "never";
        break;
      case "mend":
        this.#mend();
        break;
      case "wipe":
        upstream.cut();
        upstream.hub = this.#newHub();
        break;
      case "restart":
        upstream.cut();
        this.hub.restart();
        break;
      case "close":
        this.#closeRelay();
        break;
      case "leave":
        viewer?.stream.leave();
        if (viewer !== undefined) {
          viewer.hasLeft = true;
        }
        break;
      default:
        viewer?.stream[step.kind]();
    }
    await this.clock.settle();
    this.mostBytes = Math.max(this.mostBytes, this.relay.tail.bytes);
  }

  /** Nothing goes wrong any more, all clients read, and those without a stream connect again. */
  async comeToRest(): Promise<void> {
    this.#mend();
    this.upstream.frameFaults.length = 0;
    this.upstream.answerFaults.length = 0;
    this.viewers.forEach(({ stream }) => stream.resume());
    await this.clock.advance(1_000);
    // An event after a hole shows that there is one.
    await this.#publish([newEvent({ type: "a" })]);
    await this.clock.advance(40_000);
    this.viewers
      .filter(({ stream, hasLeft }) => stream.isEnding || hasLeft)
      .forEach((viewer) => this.reconnect(viewer));
    await this.clock.advance(10_000);
    for (const viewer of this.viewers) {
      viewer.before.push(...this.take(viewer).steps);
    }
  }

  reconnect(viewer: Viewer | undefined): void {
    if (viewer === undefined) {
      return;
    }
    const { steps, position } = this.take(viewer);
    viewer.before.push(...steps);
    viewer.stream.leave();
    viewer.hasLeft = false;
    viewer.asked = position;
    const { id, log } = position;
    viewer.stream = this.relay.connect(viewer.terms, { lastEventId: id, logName: log, since: null });
  }

  /** What a stream has brought, and the position after it. */
  take({ stream, asked }: Viewer): { steps: Step[]; position: Position } {
    const steps: Step[] = [];
    let { id, log } = asked;
    let name = log;
    const parser = createParser({
      onId: (next) => {
        [id, log] = [next, name];
      },
      onEvent: ({ event: type, id: eventId, data }) => {
        const members =
          type === "error" || type === "close" ? {} : (JSON.parse(data) as Record<string, unknown>);
        if (type === "connected") {
          name = String(members["log"]);
          log = eventId === undefined ? log : name;
          steps.push({ kind: "connected", log: name, cursor: Number(members["last_event_id"]) });
        } else if (type === "gap") {
          const { requested_id: requested, reason } = members;
          steps.push({ kind: "gap", cursor: Number(eventId), requested: Number(requested), reason });
        } else if (eventId !== undefined) {
          steps.push({ kind: "event", id: Number(eventId), data });
        }
      },
    });
    parser.feed(stream.seen.text);
    return { steps, position: { id, log } };
  }

  #newHub(): FakeHub {
    const hub = new FakeHub({ clock: this.clock, settings: SETTINGS });
    hub.log.create();
    this.hubs.push(hub);
    this.published.set(hub.log.name ?? "", []);
    return hub;
  }

  async #publish(events: readonly NewEvent[]): Promise<void> {
    this.published.get(this.hub.log.name ?? "")?.push(...events);
    await this.hub.publish(events);
  }

  #mend(): void {
    this.upstream.away = "no";
    this.upstream.isSilent = false;
  }

  /** The clients of a relay leave together with it, as before it sleeps. */
  #closeRelay(): void {
    this.relay.audience.endAll("drain");
    this.relay.feed.close();
  }
}

describe("a relay under random use, of which the hub is anything but reliable", () => {
  it("gives every client its events once and in order, or tells it of a gap that is one", async () => {
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
        expect(world.mostBytes).toBeLessThanOrEqual(TAIL.maxBytes);
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});

/** The mistakes in what a client was sent. */
function faultsOf(world: World, { terms: wanted, before }: Viewer): string[] {
  const filter = createFilter(wanted);
  const faults: string[] = [];
  let log = "";
  let at: number | null = null;
  let unknown = 0;
  const owed = (after: number, through: number): number[] =>
    (world.published.get(log) ?? [])
      .map((each, index) => ({ ...each, id: index + 1 }))
      .filter((each) => each.id > after && each.id <= through && filter.matches(each))
      .map(({ id }) => id);
  const requireNothingMissing = (after: number, through: number): void => {
    const missing = owed(after, through);
    if (missing.length > 0) {
      faults.push(`between ${after} and ${through} ${missing.join()} is missing`);
    }
  };
  for (const [index, step] of before.entries()) {
    const next = before[index + 1];
    if (step.kind === "event") {
      const stored = world.published.get(log)?.[step.id - 1];
      if (at === null || step.id <= at) {
        faults.push(`event ${step.id} came after ${at}`);
      }
      requireNothingMissing(at ?? step.id - 1, step.id - 1);
      if (stored === undefined || !filter.matches(stored) || stored.data !== step.data) {
        faults.push(`event ${step.id} is not what was published, or not for this filter`);
      }
      at = step.id;
    } else if (step.kind === "connected") {
      if (log !== "" && step.log !== log && next?.kind !== "gap") {
        faults.push(`another log began without a gap`);
      }
      if (next?.kind !== "gap") {
        requireNothingMissing(at ?? step.cursor, step.cursor);
        if (at !== null && step.cursor < at) {
          faults.push(`went back from ${at} to ${step.cursor}`);
        }
        at = step.cursor;
      }
      log = step.log;
    } else if (step.reason === "expired") {
      const hub = world.hubs.find((each) => each.log.name === log);
      const isGone = hub !== undefined && hub.log.oldest >= step.cursor + 1;
      if ((at !== null && step.cursor < at) || !isGone || step.requested >= step.cursor) {
        faults.push(`a gap from ${step.requested} to ${step.cursor} of ${hub?.log.oldest} that was none`);
      }
      at = step.cursor;
    } else {
      unknown++;
      at = step.cursor;
    }
  }
  if (unknown > world.relay.tail.generation + 1) {
    faults.push(`${unknown} gaps for ${world.relay.tail.generation} logs`);
  }
  if (log !== world.hub.log.name) {
    faults.push(`the last log is ${log} and not ${world.hub.log.name}`);
  }
  requireNothingMissing(at ?? 0, world.published.get(log)?.length ?? 0);
  return faults;
}
