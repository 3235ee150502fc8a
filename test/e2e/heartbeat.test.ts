import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";

const intervalMs = 1_000;
/** What the way to the client may add to or, when the bytes before were late themselves, take from an interval. */
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
  it("comes 1.0 to 1.25 intervals after the last bytes, again and again, and nothing else comes", async () => {
    const stream = await service.stream({ channel: "idle" });
    const times = [(await stream.nextEvent()).at];
    for (let n = 0; n < 4; n++) {
      times.push((await stream.nextComment()).at);
    }
    expect(wrongIntervals(times)).toEqual([]);
    expect(stream.text.replace(/^retry: .*\n(?:\w+: .*\n)+\n/, "")).toBe(": heartbeat\n\n".repeat(4));
  });

  it("is put off by every frame", async () => {
    const stream = await service.stream({ channel: "busy" });
    for (let n = 0; n < 7; n++) {
      await service.publish({ type: "tick", data: n }, "busy");
      await sleep(intervalMs * 0.3);
    }
    expect(stream.comments).toHaveLength(0);
    const last = (await stream.collect(7)).at(-1);
    const comment = await stream.nextComment();
    expect(wrongIntervals([last?.at ?? 0, comment.at])).toEqual([]);
  });

  it("is not put off by events that the filter hides, and then moves the id", async () => {
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

  it("counts for each client alone, from its own last bytes", async () => {
    const first = await service.stream({ channel: "staggered" });
    await sleep(intervalMs * 0.5);
    const second = await service.stream({ channel: "staggered" });
    const opened = [(await first.nextEvent()).at, (await second.nextEvent()).at];
    const comments = await Promise.all([first.nextComment(), second.nextComment()]);
    expect(wrongIntervals([opened[0] ?? 0, comments[0].at])).toEqual([]);
    expect(wrongIntervals([opened[1] ?? 0, comments[1].at])).toEqual([]);
  });

  it("announces its interval in connected", async () => {
    const stream = await service.stream({ channel: "announced" });
    expect(JSON.parse((await stream.nextEvent()).data)).toMatchObject({ heartbeat_interval_seconds: 1 });
  });
});

/** The intervals between these times that are shorter or longer than promised. */
function wrongIntervals(times: readonly number[]): number[] {
  return times
    .slice(1)
    .map((time, n) => time - (times[n] ?? 0))
    .filter((interval) => interval < intervalMs - travelMs || interval > intervalMs * 1.25 + travelMs);
}
