import { setTimeout as sleep } from "node:timers/promises";

import { openRaw, type RawStream } from "../raw-stream.ts";
import { until } from "../until.ts";
import { toSeen, type Seen, type Testimony } from "./judge.ts";
import { toQuery, type Ledger, type Wanted } from "./ledger.ts";
import type { Random } from "./random.ts";

export interface RoamerOptions {
  readonly name: string;
  readonly url: string;
  readonly channel: string;
  readonly wanted: Wanted;
  readonly random: Random;
  readonly ledger: Ledger;
  /** How long it may stop reading, and how long it may stay away. */
  readonly stallMs: number;
  readonly awayMs: number;
  /** How likely it stalls rather than anything else. */
  readonly stalls: number;
}

/** A client that comes, reads well or badly, leaves in every way there is, and comes back with its last id. */
export interface Roamer {
  readonly connections: number;
  roam(stop: AbortSignal): Promise<void>;
  /** Connects once more, reads to the last event that it wants, and stays. */
  catchUp(): Promise<void>;
  leave(): Promise<void>;
  testimony(): Testimony;
}

export function createRoamer(options: RoamerOptions): Roamer {
  const { name, url, channel, wanted, random, ledger } = options;
  const seen: Seen[] = [];
  let lastEventId = random.chance(0.3) ? "0" : "";
  let log: string | undefined;
  let connections = 0;
  let current: RawStream | undefined;

  async function open(): Promise<RawStream | undefined> {
    const query = new URLSearchParams({ channel, ...toQuery(wanted) });
    const headers: Record<string, string> = { Accept: "text/event-stream" };
    const since = lastEventId === "" && random.chance(0.5) ? "earliest" : null;
    if (since !== null) {
      query.set("since", since);
    }
    if (lastEventId !== "") {
      const where = random.pick(["Last-Event-ID", "last_event_id", "lastEventId"]);
      if (where === "Last-Event-ID") {
        headers[where] = lastEventId;
      } else {
        query.set(where, lastEventId);
      }
      if (log !== undefined && random.chance(0.5)) {
        query.set("log", log);
      }
    }
    const stream = await openRaw(`${url}/api/events?${query}`, { headers }).catch(() => undefined);
    if (stream?.status === 200) {
      connections++;
      current = stream;
      seen.push({ what: "asked", after: lastEventId || null, since });
      return stream;
    }
    if (stream !== undefined) {
      await stream.untilClosed(500).catch(() => undefined);
      if (stream.status !== 503) {
        ledger.accuse(`${name} was answered ${stream.status} ${stream.text}`);
      }
      stream.reset();
    }
    return undefined;
  }

  /** Records the events of the stream. No more may arrive on it. */
  function note(stream: RawStream): void {
    const toWallClock = Date.now() - performance.now();
    for (const { type, id, data, at } of stream.events) {
      seen.push(toSeen(type, id, data, at + toWallClock));
      if (type === "connected") {
        ({ log } = JSON.parse(data) as { log: string });
      }
    }
    seen.push({ what: "left", lastEventId: stream.lastEventId });
    lastEventId = stream.lastEventId || lastEventId;
    current = undefined;
  }

  async function leave(stream: RawStream): Promise<void> {
    if (random.chance(0.5)) {
      stream.end();
    } else {
      stream.reset();
    }
    await stream.untilClosed();
    note(stream);
  }

  async function behave(stream: RawStream, stop: AbortSignal): Promise<void> {
    const pass = (ms: number): Promise<unknown> =>
      Promise.race([
        sleep(ms, undefined, { signal: stop }).catch(() => undefined),
        stream.untilClosed(ms).catch(() => undefined),
      ]);
    if (random.chance(options.stalls)) {
      stream.pause();
      await pass(random.between(50, options.stallMs));
      if (random.chance(0.8)) {
        stream.resume();
        await pass(random.between(20, 1_000));
      }
      return;
    }
    const mood = random.pick(["reads", "reads", "sips", "halfCloses", "stays"]);
    if (mood === "reads") {
      await pass(random.between(0, 1_500));
    } else if (mood === "stays") {
      await pass(random.between(2_000, 8_000));
    } else if (mood === "halfCloses") {
      await pass(random.between(0, 300));
      stream.halfClose();
      await pass(random.between(0, 700));
    } else {
      for (let sips = random.between(3, 20); sips > 0 && !stop.aborted && !stream.closed; sips--) {
        stream.pause();
        await pass(random.between(5, 80));
        stream.resume();
        await pass(5);
      }
    }
  }

  return {
    get connections() {
      return connections;
    },
    roam: async (stop) => {
      while (!stop.aborted) {
        const stream = await open();
        if (stream !== undefined) {
          await behave(stream, stop);
          await leave(stream);
        }
        const away = random.chance(0.7) ? random.between(0, 200) : random.between(0, options.awayMs);
        await sleep(away, undefined, { signal: stop }).catch(() => undefined);
      }
    },
    catchUp: async () => {
      const last = ledger.lastWanted(wanted);
      await until(
        async () => {
          if (current !== undefined && current.closed) {
            note(current);
          }
          const stream = current ?? (await open());
          return Number(stream?.lastEventId || lastEventId) >= last && stream?.lastEventId;
        },
        { what: () => `${name} to get event ${last}, it is at ${current?.lastEventId}`, timeoutMs: 10_000 },
      );
    },
    leave: async () => {
      if (current !== undefined) {
        await leave(current);
      }
    },
    testimony: () => ({ name, wanted, seen }),
  };
}
