import { setTimeout as sleep } from "node:timers/promises";

import { EventSource } from "eventsource";

import { until } from "../until.ts";
import { createArchivist } from "./archivist.ts";
import { judge, toSeen, type MayBeGone, type Seen, type Testimony } from "./judge.ts";
import { publishUntil } from "./keyed-publisher.ts";
import { createLedger, inventWish, toQuery, TYPES, type Ledger } from "./ledger.ts";
import { startMortal, type MortalService } from "./mortal-service.ts";
import { createRandom, type Random } from "./random.ts";
import { createRoamer } from "./roamer.ts";

export interface StormOptions {
  readonly seed: number | string;
  readonly durationMs: number;
  /** How long the runtime lives at most before it is killed; null: it is not. */
  readonly lifeMs: number | null;
  /** Whether it is also told to stop, in good order. */
  readonly isTerminated?: boolean;
  readonly history: { readonly max_events?: number; readonly max_age_seconds?: number };
  readonly connectionTimeoutSeconds: number;
  readonly maxStreamAgeSeconds: number;
  /** Whether relays hold the clients, ten each, with few seats beyond those that are needed. */
  readonly hasRelays?: boolean;
  readonly publishers: number;
  readonly roamers: number;
  readonly natives: number;
  /** The behaviour of the publishers and of the clients. */
  readonly batch: number;
  readonly text: number;
  readonly pauseMs: number;
  readonly stallMs: number;
  readonly awayMs: number;
  readonly stalls: number;
}

/** The results of a storm. */
export interface Aftermath {
  /** Everything that was found to be wrong. */
  readonly violations: readonly string[];
  readonly published: number;
  readonly deaths: number;
  readonly connections: number;
  /** How often clients were told of a gap, and why the service has ended their streams. */
  readonly gaps: number;
  readonly closes: Readonly<Record<string, number>>;
  /** Events that the service has trimmed, as its log says. */
  readonly trimmed: number;
  /** How many clients were dropped since they did not read. */
  readonly dropped: number;
  /** The events that were trimmed before `GET /api/history` could read them. */
  readonly missedHistory: number;
}

const CHANNEL = "storm";
const HEARTBEAT_SECONDS = 1;
const RELAYED_SEATS = 40;

/** A failure of the test itself, not of the service. */
const EXPECTED_ERRORS: ReadonlySet<string> = new Set(["runtime_ended"]);

/**
 * Publishes with keys and reads in every way, while the runtime is killed, the history is trimmed and the clients
 * misbehave. Then it lets all clients finish, and checks the events that they received.
 */
export async function rage(options: StormOptions): Promise<Aftermath> {
  const random = createRandom(options.seed);
  const ledger = createLedger();
  const mortal = await startMortal(toConfig(options));
  const natives: Native[] = [];
  try {
    const { url } = mortal;
    const maxAgeMs = (options.history.max_age_seconds ?? Number.POSITIVE_INFINITY) * 1_000;
    const archivist = createArchivist(url, CHANNEL, ledger, maxAgeMs);
    const roamers = numbered(options.roamers, "client").map((name) => {
      const own = random.of(name);
      const wanted = inventWish(own);
      return createRoamer({ ...options, name, url, channel: CHANNEL, ledger, random: own, wanted });
    });
    natives.push(
      ...numbered(options.natives, "EventSource").map((name) => openNamed(name, url, random.of(name))),
    );

    const calm = new AbortController();
    const publishing = new AbortController();
    const work = [
      archivist.read(calm.signal),
      ...roamers.map((roamer) => roamer.roam(calm.signal)),
      ...numbered(options.publishers, "publisher").map((name) =>
        publishUntil(publishing.signal, {
          ...options,
          name,
          url,
          channel: CHANNEL,
          ledger,
          random: random.of(name),
          repeats: options.history.max_age_seconds === undefined,
        }),
      ),
    ];
    await killUntil(performance.now() + options.durationMs, mortal, random.of("killer"), options);
    publishing.abort();
    calm.abort();
    await Promise.all(work);

    await archivist.catchUp();
    const allCaughtUp = () => Promise.all(roamers.map((roamer) => roamer.catchUp()));
    await allCaughtUp();
    await Promise.all(natives.map((native) => native.catchUp(ledger)));
    // A stream that gets too old comes back, and a native one is away for a while.
    await untilRegistered(mortal, roamers.length, roamers.length + natives.length, allCaughtUp);
    await Promise.all(roamers.map((roamer) => roamer.leave()));
    for (const native of natives) {
      native.source.close();
    }
    await untilRegistered(mortal, 0, 0);

    const mayBeGone: MayBeGone = (id, latest, at) =>
      latest - id >= (options.history.max_events ?? Number.POSITIVE_INFINITY) ||
      (archivist.publishedAt(id) ?? Number.NEGATIVE_INFINITY) <= at - maxAgeMs;
    archivist.judge();
    const testimonies = [...roamers, ...natives].map((client) => client.testimony());
    for (const testimony of testimonies) {
      judge(testimony, ledger, mayBeGone);
    }
    judgeLog(mortal, ledger);

    const frames = testimonies
      .flatMap(({ seen }) => seen)
      .filter((entry): entry is Extract<Seen, { what: "frame" }> => entry.what === "frame");
    const closes = frames.filter(({ type }) => type === "close");
    return {
      violations: ledger.violations,
      published: ledger.size,
      deaths: mortal.deaths,
      connections: roamers.reduce((sum, { connections }) => sum + connections, 0),
      gaps: frames.filter(({ type }) => type === "gap").length,
      closes: countBy(closes, ({ data }) => (JSON.parse(data) as { reason: string }).reason),
      trimmed: mortal.logs
        .filter(({ event }) => event === "log_trimmed")
        .reduce((sum, { events }) => sum + Number(events), 0),
      dropped: mortal.logs.filter(({ event }) => event === "slow_client").length,
      missedHistory: archivist.missed,
    };
  } finally {
    for (const native of natives) {
      native.source.close();
    }
    await mortal.end();
  }
}

function toConfig({
  history,
  connectionTimeoutSeconds,
  maxStreamAgeSeconds,
  hasRelays = false,
}: StormOptions) {
  return {
    sse: {
      heartbeat_interval_seconds: HEARTBEAT_SECONDS,
      connection_timeout_seconds: connectionTimeoutSeconds,
      retry_after_seconds: 1,
      max_connections: hasRelays ? RELAYED_SEATS : 200,
    },
    channels: { allowed: [CHANNEL] },
    history,
    limits: {
      max_stream_age_seconds: maxStreamAgeSeconds,
      ...(hasRelays && { clients_per_object: 10, max_connections_per_address: 0 }),
    },
    // Clients that come back after a while need events that the tail no longer has.
    relays: { tail_events: 200 },
  };
}

async function killUntil(
  end: number,
  mortal: MortalService,
  random: Random,
  { lifeMs, isTerminated = false }: StormOptions,
): Promise<void> {
  for (;;) {
    const left = end - performance.now();
    if (left <= 0) {
      return;
    }
    await sleep(Math.min(left, lifeMs === null ? left : random.between(100, lifeMs)));
    if (lifeMs !== null && performance.now() < end) {
      const isAsked = isTerminated && random.chance(0.4);
      await mortal.die(isAsked ? "terminated" : random.pick(["both", "launcher", "runtime"]));
      await sleep(random.between(0, 300));
      await mortal.revive();
    }
  }
}

/** Waits until this many clients are registered and no stream lingers. Dead clients leave within two heartbeats. */
async function untilRegistered(
  { service }: MortalService,
  least: number,
  most: number,
  before: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  let found = "";
  await until(
    async () => {
      await before();
      const { active_connections: clients, lingering_connections: lingering } = (
        await service.health(CHANNEL)
      ).sse;
      found = `${clients} clients, ${String(lingering)} lingering`;
      return clients >= least && clients <= most && lingering === 0;
    },
    {
      what: () => `${least} to ${most} clients in the registry; there are ${found}`,
      timeoutMs: 2 * HEARTBEAT_SECONDS * 1_000 + 500,
      everyMs: 50,
    },
  );
}

function judgeLog({ logs, output }: MortalService, ledger: Ledger): void {
  const errors = logs.filter(({ level, event }) => level === "error" && !EXPECTED_ERRORS.has(event));
  for (const [event, count] of Object.entries(countBy(errors, (line) => line.event))) {
    const first = errors.find((line) => line.event === event);
    ledger.accuse(`the log has ${count} errors like ${JSON.stringify(first)}`);
  }
  const [uncaught] = /^.*\b(?:uncaught|unhandled)\b.*$/im.exec(output) ?? [];
  if (uncaught !== undefined) {
    ledger.accuse(`the runtime says ${uncaught}`);
  }
}

/** A native EventSource, which reconnects by its own rules. */
interface Native {
  readonly source: EventSource;
  catchUp(ledger: Ledger): Promise<void>;
  testimony(): Testimony;
}

function openNamed(name: string, url: string, random: Random): Native {
  const wanted = inventWish(random);
  const query = new URLSearchParams({ channel: CHANNEL, on_busy: "stream", ...toQuery(wanted) });
  const source = new EventSource(`${url}/api/events?${query}`);
  const seen: Seen[] = [];
  let lastId = "";
  for (const type of [...TYPES, "connected", "gap", "close", "error"]) {
    source.addEventListener(type, (event: MessageEvent) => {
      // An `error` without data is a lost connection.
      if ("data" in event) {
        seen.push(toSeen(type, event.lastEventId, String(event.data), Date.now()));
        lastId = event.lastEventId;
      }
    });
  }
  return {
    source,
    catchUp: async (ledger) => {
      const last = ledger.lastWanted(wanted);
      await until(() => lastId !== "" && Number(lastId) >= last, {
        what: () => `${name} to get event ${last}; it is at ${lastId}, in the state ${source.readyState}`,
        timeoutMs: 10_000,
      });
    },
    testimony: () => ({ name, wanted, seen }),
  };
}

function numbered(count: number, word: string): string[] {
  return Array.from({ length: count }, (_, n) => `${word} ${n + 1}`);
}

function countBy<T>(list: readonly T[], keyOf: (item: T) => string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const item of list) {
    counts[keyOf(item)] = (counts[keyOf(item)] ?? 0) + 1;
  }
  return counts;
}
