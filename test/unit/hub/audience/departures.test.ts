import { describe, expect, it } from "vitest";

import { Departures } from "../../../../src/hub/audience/departures.ts";
import { FakeClock } from "../../../support/hub/fake-clock.ts";
import { FakeStream } from "../../../support/hub/fake-stream.ts";
import { outcomeOf } from "../../../support/hub/outcome.ts";

const LAST = new TextEncoder().encode("event: close\ndata: {}\n\n");

function departing(prepare: (stream: FakeStream) => void = () => undefined): {
  clock: FakeClock;
  departures: Departures;
  stream: FakeStream;
} {
  const [clock, departures, stream] = [new FakeClock(), new Departures(), new FakeStream()];
  prepare(stream);
  departures.end(stream, LAST);
  return { clock, departures, stream };
}

describe("a stream that is ended", () => {
  it("gets its last bytes and then the end", async () => {
    const { clock, departures, stream } = departing();
    await clock.settle();
    expect(stream.seen.events).toEqual([{ type: "close", id: undefined, data: "{}" }]);
    expect([stream.isEnded, departures.size]).toEqual([true, 0]);
  });

  it("lingers until the peer reads", async () => {
    const { clock, departures, stream } = departing((each) => each.stall());
    await clock.settle();
    expect([stream.isEnding, stream.isEnded, departures.size]).toEqual([true, false, 1]);
    stream.resume();
    await clock.settle();
    expect([stream.isEnded, departures.size]).toEqual([true, 0]);
  });

  it.each([
    ["leaves", (stream: FakeStream) => stream.leave()],
    ["breaks", (stream: FakeStream) => stream.break()],
    ["leaves while its pending write never settles", (stream: FakeStream) => stream.vanish()],
  ])("no longer lingers when the peer %s", async (_, go) => {
    const { clock, departures, stream } = departing((each) => each.stall());
    await clock.settle();
    go(stream);
    await clock.settle();
    expect(departures.size).toBe(0);
  });

  it("may be broken already", async () => {
    const { clock, departures } = departing((each) => each.break());
    await clock.settle();
    expect(departures.size).toBe(0);
  });
});

describe("the wait for lingering streams", () => {
  it("is over at once if no stream lingers", async () => {
    const clock = new FakeClock();
    await new Departures().settled(clock, 2_000);
    expect(clock.timers).toBe(0);
  });

  it("is over when the last stream has ended, and leaves no timer", async () => {
    const { clock, departures, stream } = departing((each) => each.stall());
    const other = new FakeStream();
    other.stall();
    departures.end(other, LAST);
    const wait = outcomeOf(departures.settled(clock, 2_000));
    stream.resume();
    await clock.advance(500);
    expect(wait.state).toBe("waiting");
    other.leave();
    await clock.settle();
    expect([wait.state, clock.timers]).toEqual(["done", 0]);
  });

  it("is over after its time even if a stream lingers", async () => {
    const { clock, departures } = departing((each) => each.stall());
    const wait = outcomeOf(departures.settled(clock, 2_000));
    await clock.advance(1_999);
    expect(wait.state).toBe("waiting");
    await clock.advance(1);
    expect([wait.state, departures.size]).toEqual(["done", 1]);
  });
});
