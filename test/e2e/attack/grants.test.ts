import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { jwtSecret, tokenOf } from "../../support/jwt.ts";
import { problemOf } from "../../support/problem.ts";
import { startService, type PublishedEvent, type Service } from "../../support/service.ts";

const JSON_BODY = "application/json";
const LINES = "application/x-ndjson";

let service: Service;
/** Publishes and reads project 7, and nothing else. */
let narrowed: string;

beforeAll(async () => {
  service = await startService({
    config: {
      channels: { allowed: ["*"] },
      auth: { subscribe: ["jwt"], publish: ["token", "jwt"], metrics: "public" },
    },
    env: { JWT_SECRET: jwtSecret },
  });
  narrowed = `Bearer ${await tokenOf({
    edge_sse: { publish: { project_id: [7] }, subscribe: { project_id: [7] } },
  })}`;
});

afterAll(() => service.stop());

function post(
  channel: string,
  events: readonly object[],
  contentType = JSON_BODY,
  authorization = narrowed,
): Promise<Response> {
  const body =
    contentType === JSON_BODY
      ? JSON.stringify(events)
      : events.map((event) => JSON.stringify(event)).join("\n\n");
  return service.post(body, { query: `?channel=${channel}`, contentType, authorization });
}

async function storedIn(channel: string): Promise<string> {
  return (await service.health(channel)).sse.last_event_id;
}

describe("a publisher of one project", () => {
  it.each([
    [JSON_BODY, { index: 1 }],
    [LINES, { line: 3 }],
  ])("cannot name one project in the event and another one in its data (%s)", async (contentType, place) => {
    const events = [
      { type: "a", data: { project_id: 7 } },
      { type: "a", project_id: 7, data: { project_id: 8 } },
    ];
    const problem = await problemOf(await post("conflicting", events, contentType));
    expect(problem).toMatchObject({ status: 400, code: "conflicting_field" });
    expect(problem.errors).toEqual([{ ...place, field: "project_id", detail: expect.any(String) }]);
    expect(await storedIn("conflicting")).toBe("0");
  });

  it.each<[what: string, event: object]>([
    ["the same as a number and as a text", { project_id: 7, data: { project_id: "7" } }],
    ["null in the data", { project_id: 7, data: { project_id: null } }],
    ["no id in the data", { project_id: 7, data: { project_id: "a,b" } }],
    ["null in the event", { project_id: null, data: { project_id: 7 } }],
  ])("can name it in both places: %s", async (what, event) => {
    const channel = `both-${what.replaceAll(" ", "-")}`;
    expect((await post(channel, [{ type: "a", ...event }])).status).toBe(200);
    expect(await storedIn(channel)).toBe("1");
  });

  it("cannot learn the id of another project's event by guessing its key, nor whether the guess was right", async () => {
    const secret: PublishedEvent = { type: "a", data: { project_id: 8, text: "secret" }, key: "guessed" };
    await service.publish([{ type: "a", data: { project_id: 8 } }, secret], "keys");
    const guesses = [
      { type: "a", data: { project_id: 7 } },
      { type: "a", data: { project_id: 7, text: "secret" }, key: "guessed" },
    ];
    for (const [contentType, place] of [
      [JSON_BODY, { index: 1 }],
      [LINES, { line: 3 }],
    ] as const) {
      const problem = await problemOf(await post("keys", guesses, contentType));
      expect(problem).toEqual({
        type: "urn:edge-sse:problem:key_taken",
        title: expect.any(String),
        status: 409,
        code: "key_taken",
        detail: expect.any(String),
        errors: [{ ...place, field: "key", detail: expect.any(String) }],
      });
    }
    expect(await storedIn("keys")).toBe("2");
    expect((await service.health("keys")).status).toBe("healthy");
  });

  it("still gets its own duplicates reported", async () => {
    const event = { type: "a", data: { project_id: 7 }, key: "mine" };
    await post("own", [event]);
    expect(await (await post("own", [event])).json()).toEqual({
      events: [{ id: "1", type: "a", duplicate: true }],
    });
  });
});

interface Page {
  readonly events: readonly { readonly id: string }[];
  readonly next: string;
  readonly more: boolean;
}

describe("a reader of one project", () => {
  it("cannot infer the size of another project's events from the end of a history page", async () => {
    const walks: unknown[] = [];
    for (const [channel, text] of [
      ["small", "x"],
      ["large", "x".repeat(900)],
    ] as const) {
      const hidden = Array.from({ length: 1_000 }, () => ({ type: "a", data: { project_id: 8, text } }));
      for (let stored = 0; stored < 11; stored++) {
        await service.publish(hidden, channel);
      }
      await service.publish({ type: "a", data: { project_id: 7 } }, channel);
      const walk: unknown[] = [];
      for (let after = "0", more = true; more;) {
        const path = `/api/history?channel=${channel}&after=${after}`;
        const answer = await service.fetch(path, { headers: { Authorization: narrowed } });
        const { events, ...page } = (await answer.json()) as Page;
        walk.push([events.map(({ id }) => id), page.next, page.more]);
        ({ next: after, more } = page);
      }
      walks.push(walk);
    }
    expect(walks[0]).toEqual([
      [[], "10000", true],
      [["11001"], "11001", false],
    ]);
    expect(walks[1]).toEqual(walks[0]);
  });
});
