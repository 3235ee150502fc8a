import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";

const intervalMs = 1_000;
/** How much the network may lengthen an interval, or shorten it if the bytes before were late. */
const travelMs = 100;

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: { sse: { heartbeat_interval_seconds: 1 }, channels: { allowed: ["*"] } },
  });
});

afterAll(() => service.stop());

// Each test waits for its own client on its own channel, so they wait together.
describe.concurrent("The stream: heartbeat", () => {
  it("comes 1.0 to 1.25 intervals after the last bytes of any kind, and nothing else comes", async () => {
    const stream = await service.stream({ channel: "idle" });
    const times = [(await stream.nextEvent()).at, (await stream.nextComment()).at];
    await service.publish({ type: "tick", data: 1 }, "idle");
    const { at } = await stream.nextEvent({ type: "tick" });
    for (let last = at, n = 0; n < 2; n++) {
      const comment = await stream.nextComment();
      expect(wrongIntervals([last, comment.at])).toEqual([]);
      last = comment.at;
    }
    expect(wrongIntervals(times)).toEqual([]);
    expect(stream.text.replace(/^retry: .*\n(?:\w+: .*\n)+\n/, "")).toBe(
      ": heartbeat\n\nevent: tick\nid: 1\ndata: 1\n\n: heartbeat\n\n: heartbeat\n\n",
    );
  });

  it("is not postponed by events that the filter hides, and then moves the id", async () => {
    const stream = await service.stream({ channel: "hiding", types: "nothing" });
    const opened = (await stream.nextEvent()).at;
    const publishing = new AbortController();
    const published = (async () => {
      while (!publishing.signal.aborted) {
        await service.publish({ type: "hidden", data: 1 }, "hiding");
        await sleep(200);
      }
    })();
    const comment = await stream.nextComment();
    publishing.abort();
    await published;
    expect(wrongIntervals([opened, comment.at])).toEqual([]);
    expect(stream.text).toMatch(/: heartbeat\nid: [1-9]\d*\n\n$/);
  });
});

/** The intervals between these times that are shorter or longer than promised. */
function wrongIntervals(times: readonly number[]): number[] {
  return times
    .slice(1)
    .map((time, n) => time - (times[n] ?? 0))
    .filter((interval) => interval < intervalMs - travelMs || interval > intervalMs * 1.25 + travelMs);
}
