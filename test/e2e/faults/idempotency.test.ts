import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startMortal } from "../../support/faults/mortal-service.ts";
import { startService, type PublishedEvent, type Service } from "../../support/service.ts";

interface Stored {
  readonly id: string;
  readonly type: string;
  readonly data: unknown;
}

async function stored(service: Service, channel = "default"): Promise<readonly Stored[]> {
  const answer = await service.fetch(`/api/history?channel=${channel}&limit=1000`);
  return ((await answer.json()) as { events: readonly Stored[] }).events;
}

const keyed = (count: number): PublishedEvent[] =>
  Array.from({ length: count }, (_, n) => ({ type: "a", data: n + 1, key: `k${n + 1}` }));

describe("Publishing: key, when callers race", () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ config: { channels: { allowed: ["*"] } } });
  });

  afterAll(() => service.stop());

  it("20 events under one key become one: one caller stores it, and all others get a conflict", async () => {
    const channel = "race";
    const stream = await service.stream({ channel });
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => service.publish({ type: "a", data: n, key: "k" }, channel)),
    );
    const receipts = answers.map(({ events }) => events[0]);
    const winner = receipts.findIndex((receipt) => receipt?.duplicate === false);
    expect(receipts.filter((_, n) => n !== winner)).toEqual(
      Array.from({ length: 19 }, () => ({ id: "1", type: "a", duplicate: true, conflict: true })),
    );
    expect(receipts[winner]).toEqual({ id: "1", type: "a", duplicate: false });
    expect(await stored(service, channel)).toMatchObject([{ id: "1", data: winner }]);
    await service.publish({ type: "after", data: 0 }, channel);
    expect((await stream.collect(2)).map(({ type, data }) => [type, data])).toEqual([
      ["a", String(winner)],
      ["after", "0"],
    ]);
  });

  it("batches that share some of their keys store each key once, and all agree on its id", async () => {
    const channel = "overlap";
    const all = keyed(40);
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const batch = n % 2 === 0 ? all.slice(n, n + 20) : all.slice(n, n + 20).toReversed();
        return { batch, events: (await service.publish(batch, channel)).events };
      }),
    );
    const idOf = new Map((await stored(service, channel)).map(({ id, data }) => [data, id]));
    expect(idOf.size).toBe(39);
    for (const { batch, events } of answers) {
      expect(events.map(({ id }) => id)).toEqual(batch.map(({ data }) => idOf.get(data)));
    }
    const news = answers.flatMap(({ events }) => events).filter(({ duplicate }) => !duplicate);
    expect(news.map(({ id }) => Number(id)).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 39 }, (_, n) => n + 1),
    );
  });

  it("a refused batch uses up no key", async () => {
    const channel = "refused";
    const body = JSON.stringify([...keyed(3), { type: "a" }]);
    expect((await service.post(body, { query: `?channel=${channel}` })).status).toBe(400);
    const { events } = await service.publish(keyed(3), channel);
    expect(events.map(({ id, duplicate }) => [id, duplicate])).toEqual([
      ["1", false],
      ["2", false],
      ["3", false],
    ]);
  });
});

describe("Publishing: key, after the runtime was killed", () => {
  it("is still known, with the event that was stored under it", async () => {
    const mortal = await startMortal();
    try {
      await mortal.service.publish({ type: "a", data: 0, key: "single" });
      await mortal.service.publish(keyed(3));
      await mortal.die("runtime");
      await mortal.revive();
      const again = await mortal.service.publish([
        { type: "a", data: 3, key: "k3" },
        { type: "a", data: "other", key: "k1" },
        { type: "a", data: 0, key: "single" },
        { type: "a", data: 1, key: "new" },
      ]);
      expect(again.events).toEqual([
        { id: "4", type: "a", duplicate: true },
        { id: "2", type: "a", duplicate: true, conflict: true },
        { id: "1", type: "a", duplicate: true },
        { id: "5", type: "a", duplicate: false },
      ]);
      expect((await stored(mortal.service)).map(({ data }) => data)).toEqual([0, 1, 2, 3, 1]);
    } finally {
      await mortal.end();
    }
  });
});
