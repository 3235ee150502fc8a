import { afterAll, beforeAll, describe, expect, it } from "vitest";

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

  it("is at most 1 MiB a page, and loses nothing over the pages", async () => {
    const data = "x".repeat(60 * 1024);
    for (let n = 0; n < 4; n++) {
      await service.publish(
        Array.from({ length: 10 }, () => ({ type: "big", data })),
        "big",
      );
    }
    const seen: string[] = [];
    let after = "0";
    let pages = 0;
    for (let more = true; more; pages++) {
      const answer = await service.fetch(`/api/history?channel=big&limit=1000&after=${after}`);
      const text = await answer.text();
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(1024 * 1024);
      const next = JSON.parse(text) as Page;
      expect(next.events.length).toBeGreaterThan(0);
      seen.push(...ids(next));
      ({ next: after, more } = next);
    }
    expect(seen).toEqual(upTo(40));
    expect(pages).toBeGreaterThan(2);
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
