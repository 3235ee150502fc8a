import { describe, expect, it } from "vitest";

import { OpenStreams } from "../../../../src/hub/audience/open-streams.ts";
import { FakeClock } from "../../../support/hub/fake-clock.ts";
import { FakeHub } from "../../../support/hub/fake-hub.ts";
import { newEvents } from "../../../support/hub/new-event.ts";

const KIB = 1024;

/** Publishes 256 KiB to a client that starts in the past, and returns the size of its largest write. */
async function largestWrite(hub: FakeHub): Promise<number> {
  await hub.publish(newEvents(256, { data: JSON.stringify("x".repeat(KIB)) }));
  const stream = await hub.connect({ lastEventId: 0 });
  return Math.max(...stream.writes.map(({ byteLength }) => byteLength));
}

describe("the hubs of one process", () => {
  it("share the memory for writes: the streams of one make the writes of the others smaller", async () => {
    const openStreams = new OpenStreams();
    const clock = new FakeClock();
    const crowded = new FakeHub({ openStreams, clock, settings: { maxConnections: 1_000 } });
    const other = new FakeHub({ openStreams, clock });
    expect(await largestWrite(new FakeHub({ clock }))).toBeGreaterThan(100 * KIB);
    await Promise.all(Array.from({ length: 512 }, () => crowded.connect()));
    await clock.advance(1_000);
    expect(await largestWrite(other)).toBeLessThanOrEqual(16 * KIB);
  });

  it("count a stream no longer once it has left, within a second", async () => {
    const openStreams = new OpenStreams();
    const hub = new FakeHub({ openStreams });
    const stream = await hub.connect();
    expect(openStreams.count(hub.clock.now())).toBe(1);
    stream.leave();
    await hub.clock.advance(1_000);
    expect(openStreams.count(hub.clock.now())).toBe(0);
  });
});
