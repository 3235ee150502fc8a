import { describe, expect, it } from "vitest";

import type { HistoryPage } from "../../../../src/hub/log/history.ts";
import { FakeHub } from "../../../support/hub/fake-hub.ts";
import { outcomeOf } from "../../../support/hub/outcome.ts";

const START = { lastEventId: null, logName: null, since: "earliest" } as const;

/** A hub whose history takes several steps to search. */
async function hubWithHistory(): Promise<FakeHub> {
  const hub = new FakeHub();
  for (let count = 0; count < 3; count++) {
    await hub.publish(1_000);
  }
  return hub;
}

/** Requests the history, and notes when the answer arrives. */
function ask(hub: FakeHub, address: string | null, order: string[] = []): Promise<HistoryPage> {
  const reading = hub.hub.history({ start: START, terms: { types: ["none"] }, limit: 1, address });
  const note = (): number => order.push(String(address));
  reading.then(note, note);
  return reading;
}

/** The states of these requests. */
async function statesOf(hub: FakeHub, readings: readonly Promise<unknown>[]): Promise<string[]> {
  const outcomes = readings.map((reading) => outcomeOf(reading));
  await hub.clock.settle();
  return outcomes.map(({ state }) => state);
}

describe("requests for history", () => {
  it("are served one at a time", async () => {
    const hub = await hubWithHistory();
    const order: string[] = [];
    hub.log.reads = 0;
    const readings = ["a", "b", "c"].map((address) => ask(hub, address, order));
    expect(hub.log.reads).toBe(1);
    await hub.clock.settle();
    await Promise.all(readings);
    expect(order).toEqual(["a", "b", "c"]);
  });

  it("take turns by address, however many one address makes", async () => {
    const hub = await hubWithHistory();
    const order: string[] = [];
    const readings = ["a", "a", "a", "a", "b", null, null, "b"].map((address) => ask(hub, address, order));
    await hub.clock.settle();
    await Promise.all(readings);
    expect(order).toEqual(["a", "a", "b", "null", "a", "b", "null", "a"]);
  });

  it("are refused if 64 others wait, and are counted and logged once a second", async () => {
    const hub = await hubWithHistory();
    const states = await statesOf(
      hub,
      Array.from({ length: 70 }, () => ask(hub, "a")),
    );
    expect(states.filter((state) => state === "busy")).toHaveLength(5);
    expect(states.indexOf("busy")).toBe(65);
    expect(hub.hub.counters.historyRejections).toEqual({ busy: 5 });
    expect(hub.logged("history_refused")).toHaveLength(1);
  });

  it("of another address are accepted even if one address has taken all places", async () => {
    const hub = await hubWithHistory();
    const flood = Array.from({ length: 400 }, () => ask(hub, "a"));
    const others = ["b", "b", "c"].map((address) => ask(hub, address));
    const states = await statesOf(hub, [...others, ...flood]);
    expect(states.slice(0, 3)).toEqual(["done", "done", "done"]);
    expect(states.slice(3).filter((state) => state === "done")).toHaveLength(1 + 64 - 3);
  });

  it("share the places evenly if several addresses fill them", async () => {
    const hub = await hubWithHistory();
    const addresses = Array.from({ length: 300 }, (_, index) => (index < 200 ? "a" : "b"));
    const states = await statesOf(
      hub,
      addresses.map((address) => ask(hub, address)),
    );
    const served = (address: string): number =>
      addresses.filter((each, index) => each === address && states[index] === "done").length;
    expect([served("a"), served("b")]).toEqual([1 + 32, 32]);
  });

  it("go on if one of them fails", async () => {
    const hub = await hubWithHistory();
    const outline = hub.log.outline.bind(hub.log);
    hub.log.outline = () => {
      hub.log.outline = outline;
      throw new Error("the disk is gone");
    };
    expect(await statesOf(hub, [ask(hub, "a"), ask(hub, "b")])).toEqual(["the disk is gone", "done"]);
    expect(await statesOf(hub, [ask(hub, "c")])).toEqual(["done"]);
  });
});
