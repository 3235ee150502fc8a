import { setTimeout as sleep } from "node:timers/promises";

import { eventOf } from "../event.ts";
import { ROWS_PATH, startFloor } from "../floor/floor.ts";
import type { Host } from "../host.ts";
import { openPublisher } from "../publisher.ts";
import type { Row } from "../row.ts";
import { startService } from "../service.ts";
import { median } from "../statistics.ts";
import { meanUsage, meterUsage, type Usage } from "../usage.ts";

const CALLERS = 16;
const PAIRS = 8;
const WINDOW_SECONDS = 1;
const WARM_UP_MS = 300;

/**
 * Publishes single events, each durable before it is acknowledged. The peer is an object that inserts one row a call.
 */
export const publish: Row = {
  name: "publish",
  title: `durable publishes/s, one event a call, ${CALLERS} callers`,
  measure: async ({ cleanup, seconds, host }) => {
    const service = await startService(cleanup, { host });
    const floor = await startFloor(cleanup);
    const own: Window[] = [];
    const theirs: Window[] = [];
    for (let pair = 0; pair < PAIRS; pair++) {
      own.push(await playWindow(service, service.publishPath("publish"), seconds ?? WINDOW_SECONDS));
      theirs.push(await playWindow(floor, ROWS_PATH, seconds ?? WINDOW_SECONDS));
    }
    const rate = (windows: readonly Window[]): number => median(windows.map(({ perSecond }) => perSecond));
    const pairs = own.map(({ perSecond }, pair) =>
      (perSecond / (theirs[pair]?.perSecond ?? Number.NaN)).toFixed(2),
    );
    return {
      measures: [
        { what: "publishes/s", value: rate(own), unit: "/s" },
        { what: "publishes/s, floor", value: rate(theirs), unit: "/s" },
        {
          what: "against floor",
          value: rate(own) / rate(theirs),
          unit: "x",
          bound: { is: "at least", must: 0.7, aim: 0.9 },
        },
      ],
      usage: {
        [service.name]: meanUsage(own.map(({ usage }) => usage)),
        [floor.name]: meanUsage(theirs.map(({ usage }) => usage)),
      },
      notes: [`pair by pair: ${pairs.join(" ")}`],
    };
  },
};

interface Window {
  readonly perSecond: number;
  readonly usage: Usage;
}

async function playWindow(host: Host, path: string, seconds: number): Promise<Window> {
  const publisher = openPublisher(host, path);
  const body = JSON.stringify(eventOf({}));
  let answered = 0;
  const stopped = new AbortController();
  const call = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      await publisher.publish(body);
      answered++;
    }
  };
  const callers = Promise.all(Array.from({ length: CALLERS }, call));
  try {
    await Promise.race([sleep(WARM_UP_MS), callers]);
    const usage = await meterUsage(host.pid);
    const before = { answered, at: performance.now() };
    await Promise.race([sleep(seconds * 1_000), callers]);
    const perSecond = ((answered - before.answered) / (performance.now() - before.at)) * 1_000;
    const used = await usage();
    stopped.abort();
    await callers;
    return { perSecond, usage: used };
  } finally {
    stopped.abort();
    publisher.close();
  }
}
