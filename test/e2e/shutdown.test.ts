import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { makeDataDir, startService, type Service } from "../support/service.ts";

const retryAfterSeconds = 3;
/** More channels than are stopped at a time. */
const channels = ["default", ...Array.from({ length: 129 }, (_, n) => `board-${n}`)];

/** Channels with a client that never reads: the first one, one in the middle, and one of the last. */
const stalledChannels = ["default", "board-60", "board-110"];

interface Refusal {
  status: number;
  retryAfter: string | null;
  code: string;
}

async function refused(answer: Response, list: Refusal[]): Promise<void> {
  const { status, code } = await problemOf(answer);
  list.push({ status, code, retryAfter: answer.headers.get("retry-after") });
}

describe("Promises: shutdown", () => {
  let service: Service;
  let readers: RawStream[];
  let exitCode: number | null;
  let tookMs: number;
  const refusals: Refusal[] = [];
  const refusedPublishes: Refusal[] = [];
  const busyCloses: string[] = [];

  beforeAll(async () => {
    service = await startService({
      config: {
        sse: { retry_after_seconds: retryAfterSeconds },
        channels: { allowed: ["default", "board-*"] },
      },
    });
    readers = await Promise.all(channels.map((channel) => service.stream({ channel, types: "small" })));
    // More waits for these than the sockets on the way can hold.
    const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
    for (const channel of stalledChannels) {
      const stalled = await service.stream({ channel });
      await stalled.nextEvent();
      stalled.pause();
      for (let n = 0; n < 10; n++) {
        await service.publish(batch, channel);
      }
    }
    await service.publish({ type: "small", data: 1 });
    await readers[0]?.nextEvent({ type: "small" });

    const asked = performance.now();
    service.signal("SIGTERM");
    const stopped = new AbortController();
    const knock = async (ask: () => Promise<void>): Promise<void> => {
      while (!stopped.signal.aborted) {
        // After the port is closed, a request fails.
        await ask().catch(() => undefined);
      }
    };
    const knocking = [
      knock(async () => {
        const answer = await service.fetch("/api/events", { signal: AbortSignal.timeout(2_000) });
        await (answer.status === 200 ? answer.body?.cancel() : refused(answer, refusals));
      }),
      knock(async () => {
        // The streams of this channel are closed while the stop still waits for those that never read.
        const answer = await service.post('{"type":"small","data":"late"}', { query: "?channel=board-1" });
        await (answer.status === 200 ? answer.body?.cancel() : refused(answer, refusedPublishes));
      }),
      knock(async () => {
        const stream = await service.raw("/api/events?on_busy=stream&types=nothing", { timeoutMs: 2_000 });
        await stream.untilClosed(3_000);
        if (stream.events[0]?.type === "close") {
          busyCloses.push((JSON.parse(stream.events[0].data) as { reason: string }).reason);
        }
      }),
    ];
    exitCode = await service.exited();
    tookMs = performance.now() - asked;
    stopped.abort();
    await Promise.all(knocking);
  });

  afterAll(() => service.stop());

  it("every client of 130 channels gets close (shutdown) and the end of its stream", async () => {
    await Promise.all(readers.map((reader) => reader.untilClosed(1_000)));
    const last = readers.map((reader) => reader.events.at(-1));
    expect(last.map((event) => event?.type)).toEqual(Array(channels.length).fill("close"));
    expect(last.every((event) => event?.id === undefined)).toBe(true);
    expect(readers.map((reader) => reader.complete)).toEqual(Array(channels.length).fill(true));
    const closes = last.map(
      (event) => JSON.parse(event?.data ?? "") as { reason: string; retry_after_ms: number },
    );
    expect(new Set(closes.map((close) => close.reason))).toEqual(new Set(["shutdown"]));
    for (const [n, close] of closes.entries()) {
      expect(close.retry_after_ms).toBeGreaterThanOrEqual(retryAfterSeconds * 1_000);
      expect(close.retry_after_ms).toBeLessThanOrEqual(retryAfterSeconds * 2_000);
      expect(readers[n]?.text).toMatch(new RegExp(`^retry: ${close.retry_after_ms}$`, "m"));
    }
    // Jittered per client, so that they do not all come back at once.
    expect(new Set(closes.map((close) => close.retry_after_ms)).size).toBeGreaterThan(50);
  });

  it("exits 0 within 5 seconds, though three clients never read", () => {
    expect(exitCode).toBe(0);
    expect(tookMs).toBeLessThan(5_000);
  });

  it("refuses new streams with 503 and Retry-After", () => {
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) {
      expect(refusal).toEqual({ status: 503, code: "shutting_down", retryAfter: String(retryAfterSeconds) });
    }
  });

  it("refuses publishes in the same way once the streams are closed", () => {
    expect(refusedPublishes.length).toBeGreaterThan(0);
    for (const refusal of refusedPublishes) {
      expect(refusal).toEqual({ status: 503, code: "shutting_down", retryAfter: String(retryAfterSeconds) });
    }
  });

  it("tells new clients with on_busy=stream in a stream", () => {
    expect(busyCloses.length).toBeGreaterThan(0);
    expect(new Set(busyCloses)).toEqual(new Set(["shutdown"]));
  });

  it("is logged", () => {
    const events = service.logs.map((line) => line.event);
    expect(events).toContain("shutdown");
    expect(events).toContain("shutdown_complete");
    expect(events.indexOf("shutdown")).toBeLessThan(events.indexOf("shutdown_complete"));
  });

  it("closes the port", async () => {
    await expect(service.fetch("/health")).rejects.toThrow("fetch failed");
  });
});

describe("Promises: publishing during a shutdown", () => {
  it("loses no acknowledged event: every publish that was answered 200 is in the history of the next start", async () => {
    const dataDir = await makeDataDir();
    let service = await startService({ dataDir: dataDir.path });
    try {
      const acknowledged: string[] = [];
      const publishing = (async () => {
        for (;;) {
          try {
            const answer = await service.publish({ type: "a", data: acknowledged.length });
            acknowledged.push(answer.events[0]?.id ?? "");
            if (acknowledged.length === 20) {
              service.signal("SIGTERM");
            }
          } catch {
            return;
          }
        }
      })();
      await publishing;
      expect(await service.exited()).toBe(0);
      await service.stop();
      expect(acknowledged.length).toBeGreaterThanOrEqual(20);
      service = await startService({ dataDir: dataDir.path });
      const history = await service.fetch("/api/history?limit=1000");
      const stored = ((await history.json()) as { events: { id: string }[] }).events.map((event) => event.id);
      expect(stored.slice(0, acknowledged.length)).toEqual(acknowledged);
    } finally {
      await service.stop();
      await dataDir.remove();
    }
  });
});
