import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { isExcepted } from "../../support/host.ts";
import { problemOf } from "../../support/problem.ts";
import type { RawRequest, RawStream } from "../../support/raw-stream.ts";
import { relayedConfig, startRelayed } from "../../support/relays.ts";
import { startService, type PublishedEvent, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

/** The tail of the relay begins here, so that some cases start in it and others before it. */
const tailEvents = 100;
const kept = 300;

const config = {
  sse: { heartbeat_interval_seconds: 60 },
  history: { max_events: kept },
  relays: { tail_events: tailEvents },
};

/** The same service twice: the clients of the first one are held by the hub, those of the second one by relays. */
let plain: Service;
let relayed: Service;

/** Events of every kind: their data and fields must pass a relay unchanged. */
const events: PublishedEvent[] = Array.from({ length: 250 }, (_, n) => [
  { type: "turn_detected", data: { n, agent_id: n % 3, project_id: "7" } },
  { type: "state_transition", data: { text: "line\r\n\u2028\u0000 \u{1f600} \"'\\", n }, agent_id: "a b" },
  { type: "tick", data: n % 2 === 0 ? null : [n, 1e21, -0, 0.1, "", {}] },
  { type: "Turn:x.y-z", data: "x".repeat(n), project_id: n },
])
  .flat()
  .slice(0, 250);

beforeAll(async () => {
  [plain, relayed] = await Promise.all([
    startService({ config: { ...relayedConfig(config), limits: { max_connections_per_address: 0 } } }),
    startRelayed(config),
  ]);
  for (const service of [plain, relayed]) {
    await service.publish(events, "whole");
    // A trimmed log, and one whose trimmed part a relay has never seen.
    await service.publish([...events, ...events], "trimmed");
    await until(async () => (await oldestOf(service, "trimmed")) === "201", {
      what: "the trim",
      timeoutMs: 12_000,
    });
  }
});

afterAll(() => Promise.all([plain.stop(), relayed.stop()]));

async function oldestOf(service: Service, channel: string): Promise<string | null> {
  const answer = await service.fetch(`/api/history?channel=${channel}&limit=1`);
  return ((await answer.json()) as { oldest_id: string | null }).oldest_id;
}

/** Random names, times and jittered delays are the only bytes that may differ. */
function normalized(text: string): string {
  return text
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<uuid>")
    .replaceAll(/"published_at":"[^"]+"/g, '"published_at":"<time>"')
    .replaceAll(/"retry_after_ms":\d+/g, '"retry_after_ms":<ms>')
    .replaceAll(/(?<=event: close\n(?:.*\n)*?)retry: \d+|retry: \d+(?=\nevent: close)/g, "retry: <ms>");
}

const last = { type: "last", data: { done: true }, project_id: 7, agent_id: 1 };

interface Opened {
  readonly service: Service;
  readonly stream: RawStream;
}

/** Opens the same stream on both services. */
function openBoth(query: Readonly<Record<string, string>>, request: RawRequest): Promise<Opened[]> {
  return Promise.all(
    [plain, relayed].map(async (service) => ({ service, stream: await service.stream(query, request) })),
  );
}

/** Publishes one more event to both, and returns what each stream has brought up to then. */
async function textsOf(both: readonly Opened[], channel: string): Promise<string[]> {
  return Promise.all(
    both.map(async ({ service, stream }) => {
      const { events: published } = await service.publish(last, channel);
      const id = published[0]?.id;
      // Former cases have left such events in the log, so the type does not tell which one this is.
      while ((await stream.nextEvent({ type: "last" })).id !== id) {
        continue;
      }
      stream.reset();
      return normalized(stream.text);
    }),
  );
}

interface Case {
  readonly what: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

const WHOLE: readonly Case[] = [
  { what: "what comes from now on", query: {} },
  { what: "everything", query: { since: "earliest" } },
  { what: "everything after an id before the tail", query: { last_event_id: "5" } },
  {
    what: "everything after the last id before the tail",
    query: { last_event_id: String(250 - tailEvents - 1) },
  },
  { what: "everything after an id in the tail", query: {}, headers: { "Last-Event-ID": "200" } },
  { what: "everything after the id 0", query: { lastEventId: "0" } },
  {
    what: "the events of some types before the tail and in it",
    query: { types: "turn_*,last", last_event_id: "3" },
  },
  { what: "the events of a project", query: { project_id: "7", since: "earliest" } },
  { what: "the events of two agents", query: { agent_id: "1,a b", types: "*", since: "earliest" } },
  { what: "only what matches nothing in the past", query: { types: "last", since: "earliest" } },
  { what: "the events of the last minutes", query: { since: "10m" } },
  { what: "the events since a time long ago", query: { since: "2001-01-01T00:00:00Z" } },
  { what: "what comes from a time in the future", query: { since: "2999-01-01T00:00:00Z" } },
  { what: "everything, with envelopes", query: { envelope: "1", since: "earliest" } },
  { what: "a gap for an id beyond the head", query: { last_event_id: "999999" } },
  { what: "a gap for an id that is no number", query: { last_event_id: "-1" } },
  { what: "a gap for an id of another log", query: { last_event_id: "240", log: "another" } },
  {
    what: "a gap for an id of another log, filtered",
    query: { last_event_id: "240", log: "another", types: "last" },
  },
];

const TRIMMED: readonly Case[] = [
  { what: "a gap for an id that was trimmed", query: { last_event_id: "10" } },
  { what: "a gap for an id just before what is kept", query: { last_event_id: "199" } },
  { what: "no gap for the id before what is kept", query: { last_event_id: "200" } },
  { what: "what is kept", query: { since: "earliest" } },
  { what: "a gap for a time that was trimmed", query: { since: "1h" } },
  { what: "a gap, filtered", query: { last_event_id: "10", types: "tick,last" } },
];

describe.skipIf(isExcepted("relays in one process"))("The stream: through a relay", () => {
  it.each([
    ...WHOLE.map((one) => ({ ...one, channel: "whole" })),
    ...TRIMMED.map((one) => ({ ...one, channel: "trimmed" })),
  ])("has the bytes of the hub (a $channel log): $what", async ({ channel, query, headers = {} }) => {
    const both = await openBoth({ channel, ...query }, { headers });
    const [fromHub, fromRelay] = await textsOf(both, channel);
    expect(fromHub).toContain("event: last\n");
    expect(fromRelay).toBe(fromHub);
    const [hubHeaders, relayHeaders] = both.map(({ stream }) => {
      const { date: _date, ...rest } = stream.headers;
      return rest;
    });
    expect(relayHeaders).toEqual(hubHeaders);
  });

  it("has the bytes of the hub: a close, and the end", async () => {
    const channel = "closing";
    const both = await openBoth({ channel }, {});
    const texts = await Promise.all(
      both.map(async ({ service, stream }) => {
        const { data } = await stream.nextEvent();
        const { client_id } = JSON.parse(data) as { client_id: string };
        const path = `/api/admin/clients/${client_id}?channel=${channel}`;
        expect((await service.admin(path, { method: "DELETE" })).status).toBe(200);
        await stream.untilClosed();
        expect(stream.complete).toBe(true);
        return normalized(stream.text);
      }),
    );
    expect(texts[0]).toContain('"reason":"kicked"');
    expect(texts[1]).toBe(texts[0]);
  });

  it("has the bytes of the hub: a channel that nobody has used", async () => {
    const both = await openBoth({ channel: "unused", since: "earliest" }, {});
    const [fromHub, fromRelay] = await textsOf(both, "unused");
    expect(fromRelay).toBe(fromHub);
    expect(fromRelay).toContain('"last_event_id":"0"');
  });

  it("resumes without a gap with the name of the log that it was told", async () => {
    const first = await relayed.stream({ channel: "whole", last_event_id: "100" });
    const { log } = JSON.parse((await first.nextEvent()).data) as { log: string };
    const { id } = (await first.collect(30))[29] ?? {};
    first.reset();
    const second = await relayed.stream({ channel: "whole", last_event_id: String(id), log });
    await relayed.publish(last, "whole");
    await second.nextEvent({ type: "last" });
    expect(second.events.map(({ type }) => type)).not.toContain("gap");
    expect(second.events[1]?.id).toBe("131");
  });

  it("sends a heartbeat with the cursor of a client whose filter hides everything", async () => {
    const quick = await startRelayed({ sse: { heartbeat_interval_seconds: 1 } });
    try {
      const [all, none] = [await quick.stream(), await quick.stream({ types: "none" })];
      await quick.publish([
        { type: "tick", data: 1 },
        { type: "tick", data: 2 },
      ]);
      await all.collect(2);
      await Promise.all([all.nextComment(), none.nextComment()]);
      expect(all.text.endsWith("\n\n: heartbeat\n\n")).toBe(true);
      expect(none.text.endsWith("\n\n: heartbeat\nid: 2\n\n")).toBe(true);
      expect(none.lastEventId).toBe("2");
    } finally {
      await quick.stop();
    }
  });

  it.each([
    ["a malformed filter", "types=a,,b", 400],
    ["a parameter that nobody knows", "typ=a", 400],
    ["a malformed channel", "channel=A", 400],
  ])("is refused as the hub refuses it: %s", async (_what, query, status) => {
    const answers = await Promise.all(
      [plain, relayed].map(async (service) => problemOf(await service.fetch(`/api/events?${query}`))),
    );
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[1]?.status).toBe(status);
  });

  it("HEAD registers nobody and wakes no relay", async () => {
    const answer = await relayed.fetch("/api/events?channel=headed", { method: "HEAD" });
    expect(answer.status).toBe(200);
    expect((await relayed.health("headed")).sse.active_connections).toBe(0);
    expect(relayed.logs.filter((line) => line["channel"] === "headed")).toEqual([]);
  });
});
