import { listDurableObjectIds } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";

import { answerRequest } from "../../src/edge/host.ts";
import {
  hubPortOf,
  newChannel,
  openStream,
  OpenStream,
  publish,
  publishRequest,
  send,
  tick,
} from "./service.ts";

interface Problem {
  readonly status: number;
  readonly code: string;
}

async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  const { status, code } = await response.json<Problem>();
  expect(status).toBe(response.status);
  return { status, code };
}

describe("a stream through the Worker", () => {
  it("receives published events unchanged", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    await publish(channel, tick(1), tick(2));
    await stream.until(({ ids }) => ids.length === 2);
    await publish(channel, tick(3));
    await stream.until(({ ids }) => ids.length === 3);
    expect(stream.events.slice(1)).toEqual(
      [1, 2, 3].map((n) => ({ type: "tick", id: String(n), data: `{"n":${n}}` })),
    );
    await stream.leave();
  });

  it("leaves the registry when the reader cancels", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    expect((await hubPortOf(channel).health()).activeConnections).toBe(1);
    await stream.leave();
    await publish(channel, tick());
    expect((await hubPortOf(channel).health()).activeConnections).toBe(0);
  });

  it("replays a long log and goes on live, without a gap or a duplicate", async () => {
    const channel = newChannel();
    for (let count = 0; count < 6; count++) {
      await publish(channel, ...Array.from({ length: 1_000 }, () => tick()));
    }
    const stream = await openStream(channel, "&last_event_id=3");
    await stream.until(({ ids }) => ids.length >= 3_000);
    await publish(channel, tick());
    await stream.until(({ ids }) => ids.at(-1) === 6_001);
    expect(stream.ids).toEqual(Array.from({ length: 5_998 }, (_, index) => index + 4));
    await stream.leave();
  });

  it("opens with an id of any length and any characters", async () => {
    const channel = newChannel();
    await publish(channel, tick());
    for (const id of ["9".repeat(8_000), "😀".repeat(1_000), "\n\u0000:", "%"]) {
      const stream = await openStream(channel, `&last_event_id=${encodeURIComponent(id)}`);
      await stream.until(({ ids }) => ids.length === 1);
      expect(stream.dataOf("gap")).toMatchObject({ reason: "unknown", requested_id: id.slice(0, 64) });
      await stream.leave();
    }
  });
});

describe("a publish through the Worker", () => {
  it("is accepted each time if many are sent at once", async () => {
    const channel = newChannel();
    const sent = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        send(`/api/publish?channel=${channel}`, publishRequest(tick(n), n % 2 === 0 ? "publish" : "wrong")),
      ),
    );
    expect(sent.map(({ status }) => status)).toEqual(sent.map((_, n) => (n % 2 === 0 ? 200 : 401)));
    expect((await hubPortOf(channel).health()).lastEventId).toBe(10);
  });
});

describe("a channel that the configuration does not allow", () => {
  it("is 404, and no object is created for it", async () => {
    const channel = newChannel();
    const closed = { ...env, CHANNELS: { allowed: ["default"] } };
    const request = new Request(`https://edge-sse.test/api/events?channel=${channel}`);
    expect(await problemOf(await answerRequest(request, closed))).toMatchObject({ code: "unknown_channel" });
    const known = newChannel();
    await publish(known, tick());
    const ids = (await listDurableObjectIds(env.HUBS)).map(String);
    expect(ids).toContain(String(env.HUBS.idFromName(known)));
    expect(ids).not.toContain(String(env.HUBS.idFromName(channel)));
  });
});

describe("the history through the Worker", () => {
  it("is JSON for any data, and numbers come back unchanged", async () => {
    const channel = newChannel();
    const data = { __proto__x: 1, text: "</script>\u2028", nested: [null, 1.5e-7, -0, "😀"] };
    await publish(channel, { type: "tick", data }, { type: "tick", data: null }, { type: "tick", data: "" });
    const page = await (
      await send(`/api/history?channel=${channel}`)
    ).json<{ events: { data: unknown }[] }>();
    expect(page.events.map((event) => event.data)).toEqual([JSON.parse(JSON.stringify(data)), null, ""]);
  });
});

describe("a client", () => {
  it("of an `EventSource` of the runtime itself reads the same", async () => {
    const channel = newChannel();
    await publish(channel, tick(1), { type: "tick", data: "€\n😀" });
    const response = await send(`/api/events?channel=${channel}&since=earliest`);
    const source = EventSource.from(response.body as ReadableStream);
    const seen: [string, string][] = [];
    await new Promise<void>((resolve) => {
      source.addEventListener("tick", (event) => {
        const { data, lastEventId } = event as MessageEvent;
        if (seen.push([String(lastEventId), String(data)]) === 2) {
          resolve();
        }
      });
    });
    source.close();
    expect(seen).toEqual([
      ["1", '{"n":1}'],
      ["2", '"€\\n😀"'],
    ]);
  });
});

describe("an unread stream", () => {
  it("does not delay other clients, and is complete when it is read later", async () => {
    const channel = newChannel();
    const unread = await send(`/api/events?channel=${channel}`);
    const stream = await openStream(channel);
    const large = { type: "tick", data: "x".repeat(60_000) };
    for (let count = 0; count < 8; count++) {
      await publish(channel, ...Array.from({ length: 10 }, () => large));
    }
    await stream.until(({ ids }) => ids.length === 80);
    expect(stream.ids.at(-1)).toBe(80);
    const late = new OpenStream(unread.body as ReadableStream<Uint8Array>);
    await late.until(({ ids }) => ids.length === 80);
    expect(late.ids).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
    await Promise.all([stream.leave(), late.leave()]);
  });
});
