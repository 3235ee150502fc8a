import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openNative } from "../support/native.ts";
import { problemOf } from "../support/problem.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

const limit = 5;
const retryAfterSeconds = 1;

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: { max_connections: limit, retry_after_seconds: retryAfterSeconds, heartbeat_interval_seconds: 60 },
      channels: { allowed: ["*"] },
    },
  });
});

afterAll(() => service.stop());

const fill = (channel: string): Promise<RawStream[]> =>
  Promise.all(Array.from({ length: limit }, () => service.stream({ channel })));

const connections = async (channel: string): Promise<number> =>
  (await service.health(channel)).sse.active_connections;

describe("At the limit", () => {
  it("exactly N of 2N clients that connect at once get in, and health never counts more", async () => {
    const counts: number[] = [];
    const connected = new AbortController();
    const watching = (async () => {
      while (!connected.signal.aborted) {
        counts.push(await connections("stampede"));
      }
    })();
    const answers = await Promise.all(
      Array.from({ length: 2 * limit }, () => service.raw("/api/events?channel=stampede")),
    );
    connected.abort();
    await watching;
    expect(answers.filter((answer) => answer.status === 200)).toHaveLength(limit);
    expect(answers.filter((answer) => answer.status === 503)).toHaveLength(limit);
    expect(Math.max(...counts)).toBeLessThanOrEqual(limit);
    expect(await connections("stampede")).toBe(limit);
  });

  it("a refused client is told when to come back, and the others are not affected", async () => {
    const streams = await fill("undisturbed");
    const refused = await Promise.all(
      Array.from({ length: 10 }, () => service.fetch("/api/events?channel=undisturbed")),
    );
    for (const answer of refused) {
      expect(answer.headers.get("retry-after")).toBe(String(retryAfterSeconds));
      expect(await problemOf(answer)).toMatchObject({ status: 503, code: "limit" });
    }
    await service.publish({ type: "a", data: 1 }, "undisturbed");
    const events = await Promise.all(streams.map((stream) => stream.nextEvent({ type: "a" })));
    expect(events.map((event) => event.id)).toEqual(Array(limit).fill("1"));
  });

  it("a native EventSource with on_busy=stream reconnects by itself when a slot is free", async () => {
    const [first] = await fill("comes-back");
    const client = openNative(`${service.url}/api/events?channel=comes-back&on_busy=stream`, [
      "close",
      "connected",
    ]);
    try {
      await client.collect(1);
      expect(client.events[0]?.type).toBe("close");
      first?.reset();
      await until(() => client.events.some((event) => event.type === "connected"), { what: "connected" });
      expect(await connections("comes-back")).toBe(limit);
    } finally {
      client.close();
    }
  });

  it("clients that replay and never read count", async () => {
    const batch = Array.from({ length: 30 }, () => ({ type: "big", data: "x".repeat(30 * 1024) }));
    for (let n = 0; n < 15; n++) {
      await service.publish(batch, "stalled");
    }
    for (let n = 0; n < limit; n++) {
      const stream = await service.stream({ channel: "stalled", since: "earliest" });
      stream.pause();
    }
    await until(
      async () => {
        const answer = await service.admin("/api/admin/clients?channel=stalled");
        const { clients } = (await answer.json()) as { clients: { pending_ms: number }[] };
        return clients.length === limit && clients.every((client) => client.pending_ms > 100);
      },
      { what: "all clients to be stalled" },
    );
    const answer = await service.fetch("/api/events?channel=stalled");
    expect(await problemOf(answer)).toMatchObject({ status: 503, code: "limit" });
    expect(await connections("stalled")).toBe(limit);
  });

  it.each([
    ["closed (FIN)", "dead-fin", (stream: RawStream) => stream.end()],
    ["reset (RST)", "dead-rst", (stream: RawStream) => stream.reset()],
  ])(
    "a client whose connection was %s does not take the slot of the next one",
    async (_how, channel, leave) => {
      const [first, ...others] = await fill(channel);
      // A client that has got bytes within the last second is not looked at.
      const lastByteAt = first?.lastByteAt ?? 0;
      await until(() => performance.now() - lastByteAt > 1_050, { what: "a second without a byte" });
      if (first !== undefined) {
        leave(first);
      }
      let asked = 0;
      const next = await until(
        async () => {
          asked++;
          const stream = await service.raw(`/api/events?channel=${channel}`);
          if (stream.status === 200) {
            return stream;
          }
          stream.reset();
          return undefined;
        },
        { what: "a free place" },
      );
      // Each refusal comes after a wait of up to 250 ms.
      expect(asked).toBeLessThanOrEqual(4);
      expect((await next.nextEvent()).type).toBe("connected");
      expect(others.every((stream) => !stream.closed)).toBe(true);
      expect(await connections(channel)).toBe(limit);
    },
  );
});
