import { setTimeout as sleep } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { diskUsage } from "../../support/disk-usage.ts";
import { startService, type Service } from "../../support/service.ts";

const MIB = 1024 * 1024;

/** Longer than the 5 s after which the alarm trims. */
const FLOOD_MS = 7_000;
const PUBLISHERS = 4;

/** What publishing may go over `max_bytes` before it pays for it, a body that then still comes, and what rows cost. */
const OVERSHOOT_BYTES = (4 + 1 + 4) * MIB;

/** The write-ahead log starts over after 1,000 pages, unless a transaction is larger. */
const WRITE_AHEAD_BYTES = 16 * MIB;

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { history: { max_bytes: MIB } } });
});

afterAll(() => service.stop());

/** Publishes batches of the largest size as fast as they are taken. Answers how many bytes that were. */
async function flood(): Promise<number> {
  const body = JSON.stringify(
    Array.from({ length: 1_000 }, () => ({ type: "tick", data: "x".repeat(1_000) })),
  );
  const end = performance.now() + FLOOD_MS;
  let bytes = 0;
  const publish = async (): Promise<void> => {
    while (performance.now() < end) {
      const answer = await service.post(body);
      if (answer.status !== 200) {
        throw new Error(`publishing: ${answer.status} ${await answer.text()}`);
      }
      await answer.arrayBuffer();
      bytes += body.length;
    }
  };
  await Promise.all(Array.from({ length: PUBLISHERS }, publish));
  return bytes;
}

/** The most that was on the disk while something was done. */
async function mostWhile<Value>(work: Promise<Value>): Promise<ReturnType<typeof diskUsage>> {
  const most = { database: 0, writeAhead: 0 };
  const working = { isOver: false };
  const done = work.finally(() => {
    working.isOver = true;
  });
  while (!working.isOver) {
    const { database, writeAhead } = diskUsage(service.dataDir);
    most.database = Math.max(most.database, database);
    most.writeAhead = Math.max(most.writeAhead, writeAhead);
    await sleep(100);
  }
  await done;
  return most;
}

describe("a flood of publishes into a history of 1 MiB", () => {
  it("takes a few MiB of the disk, however much is published between two alarms", async () => {
    const flooding = flood();
    const most = await mostWhile(flooding);
    expect(await flooding).toBeGreaterThan(50 * MIB);
    expect(most.database).toBeLessThan(MIB + OVERSHOOT_BYTES);
    expect(most.writeAhead).toBeLessThan(WRITE_AHEAD_BYTES);
    await service.logged("log_trimmed", {}, 15_000);
    expect(diskUsage(service.dataDir).database).toBeLessThanOrEqual(most.database);
  }, 60_000);
});
