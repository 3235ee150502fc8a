import { once } from "node:events";
import { connect } from "node:net";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const CONNECTS = 2_000;
const AT_ONCE = 40;

/** Lines of one event in a second: 20, and one that sums up the rest. */
const LINES_PER_SECOND = 21;

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { sse: { heartbeat_interval_seconds: 1 } } });
});

afterAll(() => service.stop());

/** Opens a stream from an address of its own, waits for its first bytes, and resets the connection. */
async function connectAndAbort(n: number): Promise<boolean> {
  const localAddress = `127.1.${n >> 8}.${n & 255}`;
  const socket = connect({ host: "127.0.0.1", port: service.port, localAddress });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  socket.write("GET /api/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n");
  const [bytes] = (await once(socket, "data")) as [Buffer];
  socket.resetAndDestroy();
  return bytes.toString().startsWith("HTTP/1.1 200");
}

/** How often an event has happened, as the log tells. */
const told = (event: string): number =>
  service.logs
    .filter((line) => line.event === event)
    .reduce((sum, line) => sum + Number(line["count"] ?? 1), 0);

describe("A storm of connects and aborts over many addresses", () => {
  it("is summed up in the log, and the counts add up", async () => {
    const startedAt = performance.now();
    let next = 0;
    let accepted = 0;
    const storm = Array.from({ length: AT_ONCE }, async () => {
      while (next < CONNECTS) {
        const isAccepted = await connectAndAbort(next++);
        accepted += Number(isAccepted);
      }
    });
    await Promise.all(storm);
    expect(accepted).toBeGreaterThan(CONNECTS / 2);
    const events = ["client_connected", "client_reconnected", "client_disconnected"];
    await until(() => events.every((event) => told(event) >= accepted), {
      what: () => `${accepted} of each: ${events.map((event) => `${event} ${told(event)}`).join(", ")}`,
      timeoutMs: 10_000,
    });
    // The seconds of a channel begin with its first line, so the storm reaches into one more at each end.
    const seconds = Math.ceil((performance.now() - startedAt) / 1_000) + 2;
    for (const event of events) {
      expect(told(event)).toBe(accepted);
      const lines = service.logs.filter((line) => line.event === event);
      expect(lines.length).toBeLessThanOrEqual(seconds * LINES_PER_SECOND);
    }
    const reasons = service.logs
      .filter((line) => line.event === "client_disconnected" && "count" in line)
      .map((line) => line["reasons"]);
    expect(reasons.length).toBeGreaterThan(0);
    for (const each of reasons) {
      expect(Object.keys(each as object)).toEqual(["client_left"]);
    }
  });
});
