import { once } from "node:events";
import { connect, type Socket } from "node:net";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { findDescendant, residentKilobytes } from "../../../bench/process-usage.ts";
import { host } from "../../support/host.ts";
import { startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const CLIENTS = 500;

/** More than the kernel takes for one client, so that a write to each of them stays pending. */
const BATCHES = 8;
const BATCH = Array.from({ length: 190 }, () => ({ type: "big", data: "x".repeat(4_096) }));

/** A client whose write is pending for this long takes no more. */
const STALLED_MS = 1_500;

/** Above what an idle client takes. 370 to 740 were measured, and 1,250 with writes of 128 KiB for each of them. */
const KILOBYTES_PER_CLIENT = 1_000;

const channel = "stalled";
const sockets: Socket[] = [];
let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      sse: { max_connections: CLIENTS, connection_timeout_seconds: 300, heartbeat_interval_seconds: 300 },
      channels: { allowed: [channel] },
      limits: { exempt_addresses: ["127.0.0.1"] },
      logging: { level: "warn" },
    },
  });
});

afterAll(async () => {
  sockets.forEach((socket) => socket.destroy());
  await service.stop();
});

/** Opens a stream, waits for its first bytes, and reads no more. */
async function openStalled(): Promise<void> {
  const socket = connect(service.port, "127.0.0.1").on("error", () => undefined);
  sockets.push(socket);
  await once(socket, "connect");
  socket.write(`GET /api/events?channel=${channel} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await once(socket, "data");
  socket.pause();
}

async function countStalled(): Promise<number> {
  const answer = await service.admin(`/api/admin/clients?channel=${channel}`);
  const { clients } = (await answer.json()) as { clients: { pending_ms: number | null }[] };
  return clients.filter(({ pending_ms }) => (pending_ms ?? 0) >= STALLED_MS).length;
}

describe("A crowd that opens streams and never reads", () => {
  it("takes bounded memory for each client", { timeout: 120_000 }, async () => {
    const runtime = findDescendant(service.pid, host.name) ?? Number.NaN;
    for (let opened = 0; opened < CLIENTS; opened += 50) {
      await Promise.all(Array.from({ length: 50 }, openStalled));
    }
    const idle = residentKilobytes(runtime);
    for (let batch = 0; batch < BATCHES; batch++) {
      await service.publish(BATCH, channel);
    }
    await until(async () => (await countStalled()) === CLIENTS, {
      what: "a pending write for each client",
      timeoutMs: 90_000,
      everyMs: 500,
    });
    const { sse } = await service.health(channel);
    expect(sse.active_connections).toBe(CLIENTS);
    expect((residentKilobytes(runtime) - idle) / CLIENTS).toBeLessThan(KILOBYTES_PER_CLIENT);
  });
});
