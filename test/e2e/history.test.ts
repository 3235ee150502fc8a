import { afterAll, beforeAll, describe, expect, it, onTestFailed } from "vitest";

import { createRandom, seedOfRun } from "../support/faults/random.ts";
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
  it("shows an event with its id, type, data, project, agent and time", async () => {
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

  it("comes in pages of 100 or of `limit`, with `next` and `more`", async () => {
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

describe("Other routes: GET /api/history, read to the end", () => {
  it("returns every event once for any limit and filter, while publishing goes on", async () => {
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

  it("has pages of at most 1 MiB with several of the largest events, in any characters", async () => {
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
});
