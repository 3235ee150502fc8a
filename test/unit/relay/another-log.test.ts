import { describe, expect, it } from "vitest";

import { errorFrame } from "../../../src/hub/audience/service-frames.ts";
import { createFilter } from "../../../src/hub/filter.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";
import { SETTINGS } from "../../support/hub/fake-hub.ts";
import type { FakeStream } from "../../support/hub/fake-stream.ts";
import { dataOf } from "../../support/hub/frames.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";
import { RelayAudience } from "../../support/relay/relay-audience.ts";
import { historyPage, ScriptedUpstream } from "../../support/relay/scripted-upstream.ts";

const LIVE = { lastEventId: null, logName: null, since: null };

/** A relay that has attached to a log of 9 events, of which it has the last 5. */
async function attached({ maxConnections = 10 } = {}): Promise<{
  clock: FakeClock;
  upstream: ScriptedUpstream;
  relay: RelayAudience;
}> {
  const clock = new FakeClock();
  const upstream = new ScriptedUpstream();
  const settings = { ...SETTINGS, maxConnections, tail: { maxEvents: 100, maxBytes: 100_000 } };
  const relay = new RelayAudience(upstream, settings, clock);
  upstream.answer = () => historyPage({ next: 9, latest: 9 });
  void relay.feed.attach();
  await clock.settle();
  upstream.last.open({ at: 4 }).event(5).event(6).event(7).event(8).event(9);
  await clock.settle();
  return { clock, upstream, relay };
}

/** The hub has another log, of two events. */
function replaceLog(upstream: ScriptedUpstream): void {
  upstream.answer = () => historyPage({ next: 2, latest: 2 });
  upstream.last.open({ log: "log-b", at: 0, gap: true }).gap("unknown", 1, 2).event(1).event(2);
}

function toldOf(stream: FakeStream): unknown[] {
  return stream.seen.events.map((event) => {
    const { log, reason, requested_id } = dataOf(event);
    const parts = { connected: [log], gap: [reason, requested_id] }[event.type] ?? [];
    return [event.type, event.id, ...parts];
  });
}

const NEW_LOG = [
  ["tick", "1"],
  ["tick", "2"],
];

describe("a relay whose hub has another log", () => {
  it("tells the clients that it has, and gives them all events of the new log", async () => {
    const { clock, upstream, relay } = await attached();
    const stream = relay.connect({}, { ...LIVE, lastEventId: "7", logName: "log-a" });
    await clock.settle();
    replaceLog(upstream);
    await clock.settle();
    expect(toldOf(stream)).toEqual([
      ["connected", "7", "log-a"],
      ["tick", "8"],
      ["tick", "9"],
      ["connected", undefined, "log-b"],
      ["gap", "0", "unknown", "9"],
      ...NEW_LOG,
    ]);
  });

  it("gives a connect that waits for a slot no id of the old log under the name of the new one", async () => {
    const { clock, upstream, relay } = await attached({ maxConnections: 1 });
    const first = relay.connect({}, LIVE);
    await clock.advance(2_000);
    const second = relay.connect({}, { ...LIVE, lastEventId: "8" });
    await clock.settle();
    expect(second.writes).toEqual([]);
    replaceLog(upstream);
    first.leave();
    await clock.settle();
    expect(toldOf(second)).toEqual([
      ["connected", undefined, "log-b"],
      ["gap", "0", "unknown", "8"],
      ...NEW_LOG,
    ]);
  });

  it("takes nothing of the old log that arrives late: no page, and no word on what is kept", async () => {
    const { clock, upstream, relay } = await attached();
    const { promise, resolve } = Promise.withResolvers<ReturnType<typeof historyPage>>();
    upstream.answer = () => promise;
    const page = outcomeOf(Promise.resolve(relay.tail.page(2, createFilter({ types: ["b"] }), 1_000)));
    await clock.settle();
    replaceLog(upstream);
    await clock.settle();
    resolve(historyPage({ next: 9, latest: 9, oldest: 2 }));
    await clock.settle();
    expect(page.state).toBe("hub_unreachable");
    expect([relay.tail.name, relay.tail.oldest()]).toEqual(["log-b", 1]);
  });

  it("does not tell a client that the old log cannot be read", async () => {
    const { clock, upstream, relay } = await attached();
    const { promise, reject } = Promise.withResolvers<ReturnType<typeof historyPage>>();
    const start = historyPage({ next: 2, latest: 9, oldest: 1 });
    upstream.answer = ({ limit }) => (limit === 1 ? start : promise);
    const stream = relay.connect({}, { ...LIVE, lastEventId: "2" });
    await clock.settle();
    replaceLog(upstream);
    await clock.settle();
    reject(new Error("the object was reset"));
    await clock.settle();
    expect(toldOf(stream)).toEqual([
      ["connected", "2", "log-a"],
      ["connected", undefined, "log-b"],
      ["gap", "0", "unknown", "2"],
      ...NEW_LOG,
    ]);
  });
});

describe("a relay that has an announcement", () => {
  it("sends it to its idle clients, and not to those with a pending write", async () => {
    const { clock, relay } = await attached();
    const [idle, busy] = [relay.connect({}, LIVE), relay.connect({}, LIVE)];
    await clock.settle();
    busy.stall();
    await clock.advance(40_000);
    expect(busy.writes).toHaveLength(2);
    relay.audience.announce(errorFrame("upstream_lost", "The hub is away.", true));
    busy.resume();
    await clock.settle();
    expect(idle.seen.events.map(({ type }) => type)).toEqual(["connected", "error"]);
    expect(busy.seen.events.map(({ type }) => type)).toEqual(["connected"]);
  });
});
