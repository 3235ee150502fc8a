import { afterAll, beforeAll, describe, expect, it, onTestFailed } from "vitest";

import { createRandom, seedOfRun } from "../support/faults/random.ts";
import { problemOf } from "../support/problem.ts";
import { startService, type Service } from "../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] }, history: { max_events: 1_500 } } });
});

afterAll(() => service.stop());

interface Page {
  readonly events: readonly {
    readonly id: string;
    readonly type: string;
    readonly [field: string]: unknown;
  }[];
  readonly next: string;
  readonly more: boolean;
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly gap?: { readonly reason: string; readonly [field: string]: unknown };
}

async function page(query: string): Promise<Page> {
  const answer = await service.fetch(`/api/history?${query}`);
  expect(answer.status).toBe(200);
  expect(answer.headers.get("content-type")).toMatch(/^application\/json(;|$)/);
  return (await answer.json()) as Page;
}

const ticks = (count: number) => Array.from({ length: count }, (_, n) => ({ type: "tick", data: n + 1 }));
const upTo = (last: number, first = 1): string[] =>
  Array.from({ length: last - first + 1 }, (_, n) => String(first + n));
const ids = ({ events }: Page): string[] => events.map((event) => event.id);

describe("Other routes: GET /api/history", () => {
  it("shows an event with its id, type, data and ids, and when it was published", async () => {
    const before = Date.now();
    await service.publish(
      [
        { type: "a", data: { n: 1 }, project_id: 7, agent_id: "x" },
        { type: "b", data: null },
      ],
      "shape",
    );
    const found = await page("channel=shape");
    expect(found).toEqual({
      events: [
        {
          id: "1",
          type: "a",
          data: { n: 1 },
          project_id: "7",
          agent_id: "x",
          published_at: expect.any(String),
        },
        { id: "2", type: "b", data: null, published_at: expect.any(String) },
      ],
      next: "2",
      more: false,
      oldest_id: "1",
      latest_id: "2",
    });
    const publishedAt = String(found.events[0]?.["published_at"]);
    expect(publishedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
    expect(Date.parse(publishedAt)).toBeGreaterThanOrEqual(before - 1_000);
    expect(Date.parse(publishedAt)).toBeLessThanOrEqual(Date.now() + 1_000);
  });

  it("of an empty channel is empty", async () => {
    expect(await page("channel=empty")).toEqual({
      events: [],
      next: "0",
      more: false,
      oldest_id: null,
      latest_id: "0",
    });
  });

  it("comes in pages of 100, or of limit: next is where to go on, more whether", async () => {
    await service.publish(ticks(250), "pages");
    const first = await page("channel=pages");
    expect(ids(first)).toEqual(upTo(100));
    expect(first).toMatchObject({ next: "100", more: true, oldest_id: "1", latest_id: "250" });
    const second = await page(`channel=pages&after=${first.next}&limit=149`);
    expect(ids(second)).toEqual(upTo(249, 101));
    expect(second).toMatchObject({ next: "249", more: true });
    const third = await page(`channel=pages&after=${second.next}&limit=1`);
    expect(ids(third)).toEqual(["250"]);
    expect(third).toMatchObject({ next: "250", more: false });
    const end = await page(`channel=pages&after=${third.next}`);
    expect(end).toMatchObject({ events: [], next: "250", more: false });
    expect(ids(await page("channel=pages&limit=1000"))).toEqual(upTo(250));
  });

  it("applies the filters of the stream, and next goes on past what they hide", async () => {
    await service.publish(
      Array.from({ length: 300 }, (_, n) => ({
        type: n % 100 === 0 ? "rare" : "tick",
        data: n,
        project_id: n % 2,
      })),
      "filtered",
    );
    const rare = await page("channel=filtered&types=rare&limit=1000");
    expect(ids(rare)).toEqual(["1", "101", "201"]);
    const none = await page("channel=filtered&types=rare&project_id=1");
    expect(none).toMatchObject({ events: [], next: "300", more: false });
    const seen: string[] = [];
    let after = "0";
    for (let more = true; more;) {
      const next = await page(`channel=filtered&types=ra*&limit=2&after=${after}`);
      seen.push(...ids(next));
      ({ next: after, more } = next);
    }
    expect(seen).toEqual(["1", "101", "201"]);
    expect(after).toBe("300");
  });

  it.each(["x", "-1", "1.5", "0x1"])(
    "takes an id that is none for one it does not know (%s)",
    async (after) => {
      await service.publish(ticks(1), `after-${after.charCodeAt(0)}-${after.length}`);
      const found = await page(`channel=after-${after.charCodeAt(0)}-${after.length}&after=${after}`);
      expect(found.gap).toMatchObject({ requested_id: after, reason: "unknown" });
      expect(ids(found)).toEqual(["1"]);
    },
  );

  it("shows the same events as the stream", async () => {
    await service.publish(ticks(20), "same");
    const stream = await service.stream({ channel: "same", since: "earliest" });
    const events = await stream.collect(20);
    const history = await page("channel=same");
    expect(history.events.map(({ id, type, data }) => [id, type, JSON.stringify(data)])).toEqual(
      events.map(({ id, type, data }) => [id, type, data]),
    );
  });
});

describe("Other routes: GET /api/history, asked for what it cannot give", () => {
  it.each(["0", "1001", "-1", "1.5", "1e2", "0x10", "ten", "", " 10", "9".repeat(400)])(
    "a limit that is not a whole number from 1 to 1,000 is refused by its name (%j)",
    async (limit) => {
      const answer = await service.fetch(`/api/history?channel=limits&limit=${encodeURIComponent(limit)}`);
      const problem = await problemOf(answer);
      expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
      expect(problem.errors).toEqual([{ field: "limit", detail: expect.stringMatching(/1 to 1000/) }]);
    },
  );

  it.each([
    ["limit=1&limit=2", "limit"],
    ["after=1&after=2", "after"],
    ["befor=1", "befor"],
    ["last_event_id=1", "last_event_id"],
    ["project_id=", "project_id"],
    ["types=a,,b", "types"],
    ["since=yesterday", "since"],
    ["channel=A", "channel"],
  ])("a parameter that is wrong is refused by its name (%s)", async (query, field) => {
    const problem = await problemOf(await service.fetch(`/api/history?${query}`));
    expect(problem).toMatchObject({ status: 400, code: "invalid_parameter" });
    expect(problem.errors?.map((error) => error.field)).toEqual([field]);
  });
});

/** Pages from the oldest event until there is no more, and how many bytes each has. */
async function readAll(query: string, limits: () => number): Promise<{ pages: Page[]; bytes: number[] }> {
  const pages: Page[] = [];
  const bytes: number[] = [];
  let after = "0";
  for (let more = true; more;) {
    const answer = await service.fetch(`/api/history?${query}&limit=${limits()}&after=${after}`);
    const text = await answer.text();
    const found = JSON.parse(text) as Page;
    expect(Number(found.next)).toBeGreaterThan(found.more ? Number(after) : -1);
    expect(found.events.every(({ id }) => Number(id) > Number(after))).toBe(true);
    expect(Number(found.events.at(-1)?.id ?? 0)).toBeLessThanOrEqual(Number(found.next));
    pages.push(found);
    bytes.push(Buffer.byteLength(text));
    ({ next: after, more } = found);
  }
  return { pages, bytes };
}

const toInstant = (ms: number): string => encodeURIComponent(new Date(ms).toISOString());

describe("Other routes: GET /api/history, read to the end", () => {
  it("covers everything once, whatever the limits and the filter, while publishing goes on", async () => {
    const channel = "growing";
    const seed = seedOfRun();
    onTestFailed(() => console.error(`The choices of this run come back with SEED=${seed}`));
    const random = createRandom(seed);
    let count = 0;
    const publishing = (async () => {
      for (let n = 0; n < 60; n++) {
        const batch = Array.from({ length: random.between(1, 20) }, () => ({
          type: count++ % 3 === 0 ? "fizz" : "tick",
          data: count,
          agent_id: count % 5,
        }));
        await service.publish(batch, channel);
      }
    })();
    const limits = random.of("limits");
    const during = await readAll(`channel=${channel}`, () => limits.between(1, 30));
    await publishing;
    expect(during.pages.flatMap(ids)).toEqual(upTo(Number(during.pages.at(-1)?.next)));

    const everything = upTo(count).map(Number);
    for (const [filter, matches] of [
      ["", () => true],
      ["types=fizz", (id: number) => id % 3 === 1],
      ["types=fi*,none&agent_id=2,4", (id: number) => id % 3 === 1 && (id % 5 === 2 || id % 5 === 4)],
      ["types=none", () => false],
    ] as const) {
      const { pages } = await readAll(`channel=${channel}&${filter}`, () => limits.between(1, 300));
      expect(pages.flatMap(ids)).toEqual(everything.filter(matches).map(String));
      expect(pages.at(-1)).toMatchObject({ next: String(count), more: false });
    }
  });

  it("is at most 1 MiB a page for the largest events, whatever their characters, and not one event a page", async () => {
    const channel = "largest";
    // 65,000 bytes with the quotes around them.
    const texts = ["x".repeat(64_998), "\u4e16".repeat(21_666), `"\\`.repeat(16_249)];
    for (let n = 0; n < 15; n++) {
      await service.publish(
        texts.map((data) => ({
          type: "big",
          data,
          project_id: "p".repeat(128),
        })),
        channel,
      );
    }
    const { pages, bytes } = await readAll(`channel=${channel}`, () => 1_000);
    expect(pages.flatMap(ids)).toEqual(upTo(45));
    expect(pages.flatMap(({ events }) => events.map(({ data }) => data))).toEqual(
      Array.from({ length: 15 }, () => texts).flat(),
    );
    expect(Math.max(...bytes)).toBeLessThanOrEqual(1024 * 1024);
    expect(Math.min(...bytes.slice(0, -1))).toBeGreaterThan(256 * 1024);
  });

  it("has times that never decrease along the ids, and one time for the events of one request", async () => {
    const channel = "times";
    await Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let n = 0; n < 10; n++) {
          await service.publish(ticks(3), channel);
        }
      }),
    );
    const { events } = await page(`channel=${channel}&limit=1000`);
    const times = events.map((event) => Date.parse(String(event["published_at"])));
    expect(times).toHaveLength(240);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    for (let n = 0; n < times.length; n += 3) {
      expect(new Set(times.slice(n, n + 3)).size).toBe(1);
    }
  });

  it("starts where since says, and an id wins over it", async () => {
    const channel = "since";
    await service.publish(ticks(2), channel);
    const { events } = await page(`channel=${channel}`);
    const stored = Date.parse(String(events[0]?.["published_at"]));
    expect(ids(await page(`channel=${channel}&since=${toInstant(stored)}`))).toEqual(["1", "2"]);
    const later = await page(`channel=${channel}&since=${toInstant(stored + 1)}`);
    expect(later).toMatchObject({ events: [], next: "2", more: false });
    expect(later).not.toHaveProperty("gap");
    expect(ids(await page(`channel=${channel}&since=${toInstant(stored + 1)}&after=1`))).toEqual(["2"]);
  });

  it("goes on over events that the filter hides, however many those are", async () => {
    const long = await startService();
    try {
      const batch = JSON.stringify(Array.from({ length: 1_000 }, () => ({ type: "tick", data: 1 })));
      for (let n = 0; n < 23; n++) {
        expect((await long.post(batch)).status).toBe(200);
      }
      await long.publish({ type: "rare", data: 1 });
      const pages: Page[] = [];
      for (let after = "0", more = true; more;) {
        const answer = await long.fetch(`/api/history?types=rare&after=${after}`);
        const found = (await answer.json()) as Page;
        expect(Number(found.next)).toBeGreaterThan(Number(after));
        pages.push(found);
        ({ next: after, more } = found);
      }
      expect(pages.flatMap(ids)).toEqual(["23001"]);
      expect(pages.at(-1)?.next).toBe("23001");
      expect(pages.length).toBeLessThan(10);
    } finally {
      await long.stop();
    }
  });
});
