import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { problemOf } from "../support/problem.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { makeDataDir, startService, type Service } from "../support/service.ts";

const retryAfterSeconds = 3;
const channels = ["default", "board-1", "board-2"];

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
        sse: { retry_after_seconds: retryAfterSeconds, max_connections: 200 },
        channels: { allowed: ["default", "board-*"] },
      },
    });
    readers = await Promise.all(
      Array.from({ length: 99 }, (_, n) =>
        service.stream({ channel: channels[n % 3] ?? "default", types: "small" }),
      ),
    );
    // The hundredth never reads, and more waits for it than the sockets on the way can hold.
    const stalled = await service.stream({ channel: "default" });
    await stalled.nextEvent();
    stalled.pause();
    const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
    for (let n = 0; n < 20; n++) {
      await service.publish(batch);
    }
    for (const channel of channels) {
      await service.publish({ type: "small", data: channel }, channel);
    }
    await Promise.all(readers.map((reader) => reader.nextEvent({ type: "small" })));

    const asked = performance.now();
    service.signal("SIGTERM");
    const stopped = new AbortController();
    const knock = async (ask: () => Promise<void>): Promise<void> => {
      while (!stopped.signal.aborted) {
        // When nobody listens any more, the answer is an error.
        await ask().catch(() => undefined);
      }
    };
    const knocking = [
      knock(async () => {
        const answer = await service.fetch("/api/events", { signal: AbortSignal.timeout(2_000) });
        await (answer.status === 200 ? answer.body?.cancel() : refused(answer, refusals));
      }),
      knock(async () => {
        const answer = await service.post('{"type":"small","data":"late"}');
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

  it("every client of every channel gets close (shutdown) and the end of its stream", async () => {
    await Promise.all(readers.map((reader) => reader.untilClosed(1_000)));
    const last = readers.map((reader) => reader.events.at(-1));
    expect(last.map((event) => event?.type)).toEqual(Array(99).fill("close"));
    expect(last.every((event) => event?.id === undefined)).toBe(true);
    expect(readers.map((reader) => reader.complete)).toEqual(Array(99).fill(true));
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

  it("exits 0 within 5 seconds, though one client never reads", () => {
    expect(exitCode).toBe(0);
    expect(tookMs).toBeLessThan(5_000);
  });

  it("refuses new streams with 503 and Retry-After meanwhile", () => {
    expect(refusals.length).toBeGreaterThan(0);
    for (const refusal of refusals) {
      expect(refusal).toEqual({ status: 503, code: "shutting_down", retryAfter: String(retryAfterSeconds) });
    }
  });

  it("refuses what is published once the streams are closed, in the same way", () => {
    expect(refusedPublishes.length).toBeGreaterThan(0);
    for (const refusal of refusedPublishes) {
      expect(refusal).toEqual({ status: 503, code: "shutting_down", retryAfter: String(retryAfterSeconds) });
    }
  });

  it("tells new clients that ask by on_busy=stream in a stream", () => {
    expect(busyCloses.length).toBeGreaterThan(0);
    expect(new Set(busyCloses)).toEqual(new Set(["shutdown"]));
  });

  it("says so in the log", () => {
    const events = service.logs.map((line) => line.event);
    expect(events).toContain("shutdown");
    expect(events).toContain("shutdown_complete");
    expect(events.indexOf("shutdown")).toBeLessThan(events.indexOf("shutdown_complete"));
  });

  it("leaves nobody listening", async () => {
    await expect(service.fetch("/health")).rejects.toThrow("fetch failed");
  });
});

describe("Promises: shutdown of an idle service", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("by %s exits 0 within 5 seconds", async (signal) => {
    const service = await startService();
    try {
      const asked = performance.now();
      service.signal(signal);
      expect(await service.exited()).toBe(0);
      expect(performance.now() - asked).toBeLessThan(5_000);
    } finally {
      await service.stop();
    }
  });
});

describe("Promises: publishing during a shutdown", () => {
  it("acknowledges nothing that is lost: what was answered 200 is in the history of the next start", async () => {
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

describe("Promises: shutdown of many channels", () => {
  it("tells the readers of every channel, however many have clients that never read", async () => {
    const service = await startService({ config: { channels: { allowed: ["*"] } } });
    const names = Array.from({ length: 130 }, (_, n) => `board-${String(n).padStart(3, "0")}`);
    const readers = await Promise.all(names.map((channel) => service.stream({ channel })));
    for (const channel of ["board-000", "board-060", "board-110"]) {
      const stalled = await service.stream({ channel, types: "big" });
      stalled.pause();
      const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
      for (let n = 0; n < 10; n++) {
        await service.publish(batch, channel);
      }
    }

    const asked = performance.now();
    service.signal("SIGTERM");
    const closes = await Promise.all(readers.map((reader) => reader.nextEvent({ type: "close" })));
    expect(closes.map(({ data }) => JSON.parse(data) as unknown)).toEqual(
      names.map(() => expect.objectContaining({ reason: "shutdown" })),
    );
    expect(await service.exited()).toBe(0);
    expect(performance.now() - asked).toBeLessThan(5_000);
    await service.stop();
  });
});
