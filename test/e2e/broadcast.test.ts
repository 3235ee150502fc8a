import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../support/service.ts";
import { until } from "../support/until.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

const numbersTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

const upTo = (count: number): string[] => Array.from({ length: count }, (_, n) => String(n + 1));

describe("Promises: order", () => {
  it("100 clients all receive events 1 to n in order, each exactly once", async () => {
    const streams = await Promise.all(
      Array.from({ length: 100 }, () => service.stream({ channel: "hundred" })),
    );
    for (let n = 0; n < 50; n++) {
      await service.publish({ type: "tick", data: { n } }, "hundred");
    }
    const batch = Array.from({ length: 150 }, (_, n) => ({ type: "tick", data: { n: 50 + n } }));
    await service.publish(batch, "hundred");
    await Promise.all(streams.map((stream) => stream.collect(200)));
    for (const stream of streams) {
      const ticks = stream.events.slice(1);
      expect(ticks.map((event) => event.id)).toEqual(upTo(200));
      expect(ticks.map((event) => (JSON.parse(event.data) as { n: number }).n)).toEqual(
        Array.from({ length: 200 }, (_, n) => n),
      );
    }
  });

  it("is the same for all clients when twenty publishers publish at once, and that of their ids", async () => {
    const streams = await Promise.all(
      Array.from({ length: 10 }, () => service.stream({ channel: "publishers" })),
    );
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, publisher) => {
        const ids: string[] = [];
        for (let n = 0; n < 10; n++) {
          const answer = await service.publish({ type: "tick", data: { publisher, n } }, "publishers");
          ids.push(answer.events[0]?.id ?? "");
        }
        return ids;
      }),
    );
    expect(
      answers
        .flat()
        .map(Number)
        .toSorted((a, b) => a - b),
    ).toEqual(upTo(200).map(Number));
    const [first, ...others] = await Promise.all(streams.map((stream) => stream.collect(200)));
    const seen = first?.map(({ id, data }) => `${id} ${data}`) ?? [];
    expect(first?.map((event) => event.id)).toEqual(upTo(200));
    for (const other of others) {
      expect(other.map(({ id, data }) => `${id} ${data}`)).toEqual(seen);
    }
    // The publisher got the id under which all clients received its event, and its own events keep their order.
    for (const [publisher, ids] of answers.entries()) {
      const own = first?.filter(
        (event) => (JSON.parse(event.data) as { publisher: number }).publisher === publisher,
      );
      expect(own?.map((event) => event.id)).toEqual(ids);
    }
  });
});

describe("Promises: no loss, no double", () => {
  it("for each of 50 clients that connect from the oldest event while publishing goes on", async () => {
    const channel = "joining";
    await service.publish(
      Array.from({ length: 500 }, (_, n) => ({ type: "tick", data: n })),
      channel,
    );
    let published = 0;
    const publishing = (async () => {
      for (; published < 100; published++) {
        await service.publish({ type: "tick", data: 500 + published }, channel);
      }
    })();
    const streams = await Promise.all(
      Array.from({ length: 50 }, async (_, n) => {
        // Each one joins while another event is published.
        await until(() => published >= n, { what: `event ${n}`, everyMs: 1 });
        return service.stream({ channel, since: "earliest" });
      }),
    );
    await publishing;
    for (const stream of streams) {
      const events = await stream.collect(600);
      expect(events.map((event) => Number(event.id))).toEqual(numbersTo(600));
      expect(events.map((event) => Number(event.data))).toEqual(numbersTo(600).map((id) => id - 1));
    }
    expect(service.logs.filter((line) => line.level === "error")).toEqual([]);
    expect(service.output).not.toMatch(/uncaught|unhandled/i);
  });
});
