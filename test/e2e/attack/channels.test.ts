import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createAttacker, statuses, type Attacker } from "../../support/attacker.ts";
import { problemOf } from "../../support/problem.ts";
import { usageOf } from "../../support/runtime-usage.ts";
import { someAtATime } from "../../support/some-at-a-time.ts";
import { publishToken, startService, type Service } from "../../support/service.ts";

const NAMES = 1_000;
const UNPUBLISHED = 100;
const AT_ONCE = 20;

/** Channels that one token may create in an hour. */
const PER_TOKEN = 50;
const OTHER_TOKEN = "another-publish-token-of-the-tests";

/** Files that a few hubs, and the directory, may write meanwhile. */
const A_FEW_FILES = 10;

/** Megabytes that the runtime may take for the requests themselves. A live object for each name would be 200 kB each. */
const A_FEW_MEGABYTES = 100;

/** The widest configuration: all names, public streams. The budget of requests is off: here it is not what helps. */
const wide = {
  channels: { allowed: ["*"] },
  logging: { level: "warn" },
};

const names = (prefix: string, count = NAMES): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}-${n}`);

describe("An address that reads unused channels", () => {
  let service: Service;
  let attacker: Attacker;

  beforeAll(async () => {
    service = await startService({
      config: { ...wide, limits: { exempt_addresses: [], max_requests_per_minute_per_address: 0 } },
    });
    attacker = createAttacker(service.url, "127.0.0.66");
  });

  afterAll(async () => {
    attacker.leave();
    await service.stop();
  });

  it.each(["/health", "/api/history", "/metrics"])("creates and wakes nothing (%s)", async (path) => {
    await attacker.ask({ path: `${path}?channel=warm-up` });
    const usage = usageOf(service);
    const before = { files: await usage.files(), megabytes: usage.residentMegabytes() };
    const answers = await attacker.askAll(
      names(`looked${path.replaceAll("/", "-")}`).map((name) => ({ path: `${path}?channel=${name}` })),
    );
    expect(statuses(answers)).toEqual({ 200: NAMES });
    expect((await usage.files()) - before.files).toBeLessThan(A_FEW_FILES);
    expect(usage.residentMegabytes() - before.megabytes).toBeLessThan(A_FEW_MEGABYTES);
  });

  it("gets the answers of an empty channel", async () => {
    const { text } = await attacker.ask({ path: "/health?channel=looked-health-0" });
    expect(JSON.parse(text)).toMatchObject({
      status: "healthy",
      sse: { active_connections: 0, last_event_id: "0", oldest_event_id: null },
    });
    const history = await attacker.ask({ path: "/api/history?channel=looked-health-0&after=7" });
    expect(JSON.parse(history.text)).toEqual({
      events: [],
      next: "0",
      more: false,
      oldest_id: null,
      latest_id: "0",
      gap: { requested_id: "7", oldest_id: null, latest_id: "0", reason: "unknown" },
    });
  });

  it("can stream from 20 of them in an hour, and from every channel that was published to", async () => {
    await service.publish({ type: "a", data: 1 }, "published");
    const usage = usageOf(service);
    const before = { files: await usage.files(), megabytes: usage.residentMegabytes() };
    const from = { localAddress: "127.0.0.66" };
    const answers = await someAtATime(AT_ONCE, names("streamed"), (name) =>
      service.raw(`/api/events?channel=${name}`, from),
    );
    expect(statuses(answers)).toEqual({ 200: 20, 429: NAMES - 20 });
    const refused = answers.at(-1);
    await refused?.untilClosed(5_000).catch(() => undefined);
    expect(Number(refused?.headers["retry-after"])).toBeGreaterThan(3_000);
    expect(JSON.parse(refused?.text ?? "")).toMatchObject({ code: "too_many_channels" });
    // An object has a file, and two more while it is open.
    expect((await usage.files()) - before.files).toBeLessThan(3 * 20 + A_FEW_FILES);
    expect(usage.residentMegabytes() - before.megabytes).toBeLessThan(A_FEW_MEGABYTES);

    const told = await service.raw("/api/events?channel=streamed-99&on_busy=stream", from);
    expect(told.status).toBe(200);
    expect(JSON.parse((await told.nextEvent({ type: "close" })).data)).toMatchObject({ reason: "limit" });
    expect((await service.raw("/api/events?channel=published", from)).status).toBe(200);
    expect((await service.raw("/api/events?channel=streamed-3", from)).status).toBe(200);
    expect((await service.raw("/api/events?channel=of-another", { localAddress: "127.0.0.67" })).status).toBe(
      200,
    );
    const lines = service.logs.filter(
      ({ event }) => event === "request_refused" || event === "connect_refused",
    );
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.length).toBeLessThan(40);
  });
});

describe("Many addresses that stream from unused channels", () => {
  let service: Service;

  beforeAll(async () => {
    // To the service, an exempt address is as good as any number of addresses.
    service = await startService({
      config: {
        ...wide,
        limits: {
          max_unpublished_channels: UNPUBLISHED,
          max_new_channels_per_hour_per_token: PER_TOKEN,
        },
      },
      env: { PUBLISH_TOKEN: `${publishToken},${OTHER_TOKEN}` },
    });
  });

  afterAll(() => service.stop());

  it("create no more channels than the bound, and a publisher can still create one", async () => {
    const usage = usageOf(service);
    const before = { files: await usage.files(), megabytes: usage.residentMegabytes() };
    const answers = await someAtATime(AT_ONCE, names("streamed"), (name) =>
      service.raw(`/api/events?channel=${name}`),
    );
    expect(statuses(answers)).toEqual({ 200: UNPUBLISHED, 503: NAMES - UNPUBLISHED });
    expect((await usage.files()) - before.files).toBeLessThan(3 * UNPUBLISHED + A_FEW_FILES);
    expect(usage.residentMegabytes() - before.megabytes).toBeLessThan(A_FEW_MEGABYTES + UNPUBLISHED / 2);

    const refused = await service.fetch("/api/events?channel=one-more");
    expect(refused.headers.get("retry-after")).toBe("5");
    expect(await problemOf(refused)).toMatchObject({ status: 503, code: "channels_full" });
    await service.publish({ type: "a", data: 1 }, "one-more");
    const stream = await service.stream({ channel: "one-more", since: "earliest" });
    expect(await stream.nextEvent({ type: "a" })).toMatchObject({ id: "1" });

    // A channel that was published to does not count any more: there is room for another one.
    expect((await service.fetch("/api/events?channel=room")).status).toBe(503);
    await service.publish({ type: "a", data: 1 }, "streamed-0");
    const room = await service.stream({ channel: "room" });
    expect(await room.nextEvent()).toMatchObject({ type: "connected" });
  });

  it("do not use up the channels that a token may create, and it can publish to existing channels", async () => {
    const authorization = `Bearer ${OTHER_TOKEN}`;
    const answers: Response[] = [];
    for (const name of names("made", PER_TOKEN + 10)) {
      answers.push(await service.post('{"type":"a","data":1}', { query: `?channel=${name}`, authorization }));
    }
    expect(statuses(answers)).toEqual({ 200: PER_TOKEN, 429: 10 });
    expect(await problemOf(answers.at(-1) as Response)).toMatchObject({ code: "too_many_channels" });
    const again = await service.post('{"type":"a","data":2}', { query: "?channel=made-7", authorization });
    expect(again.status).toBe(200);
  });
});
