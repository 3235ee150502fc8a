import { fork } from "node:child_process";
import { join } from "node:path";

import type { Cleanup } from "./cleanup.ts";
import type { Host } from "./host.ts";
import type { Attention } from "./receiver.ts";

/** The commands of the generator's process. */
export type Order = Connect | Reach | { do: "watch" } | { do: "look" } | { do: "take" } | { do: "close" };

/** Opens clients. `sample`: every n-th of them looks at `every` frame. */
export interface Connect {
  do: "connect";
  port: number;
  path: string;
  clients: number;
  attention: Attention;
  sample: number | null;
  /** The id to resume after; null: live events only. */
  lastEventId: string | null;
}

/** Waits until every client has reached an id. */
export interface Reach {
  do: "reach";
  id: number;
  withinMs: number;
}

/** The state of all clients together. */
export interface Report {
  readonly atMs: number;
  readonly cpuMs: number;
  readonly clients: number;
  /** The id that every client has reached. */
  readonly slowest: number;
  /** The sum of all clients' newest ids. Its growth is the number of deliveries. */
  readonly delivered: number;
  /** The number of decoded events, and how many of these were doubled, out of order, or preceded by a hole. */
  readonly events: number;
  readonly faults: number;
  /** Why clients were closed unexpectedly. */
  readonly ends: readonly string[];
  /** Latencies from publish call to receipt. Only `take` returns them, and it forgets them. */
  readonly latenciesMs: Float64Array;
}

export interface Generator {
  readonly ask: (order: Order) => Promise<Report>;
  readonly connect: (
    host: Host,
    channel: string,
    options: Pick<Connect, "clients" | "attention"> & Partial<Connect>,
  ) => Promise<Report>;
  /** Reports the slowest client's id from now on, each time it has risen. */
  readonly watch: (listener: (id: number) => void) => Promise<Report>;
  readonly stop: () => Promise<void>;
}

export type Answer =
  | { readonly serial: number; readonly report: Report }
  | { readonly serial: number; readonly error: string }
  | { readonly slowest: number };

/** Starts a load generator. */
export function startGenerator(cleanup: Cleanup): Generator {
  const child = fork(join(import.meta.dirname, "generator-process.ts"), { serialization: "advanced" });
  const waiting = new Map<number, { resolve: (report: Report) => void; reject: (error: Error) => void }>();
  let serial = 0;
  const watcher: { tell?: (id: number) => void } = {};
  child.on("message", (answer: Answer) => {
    if ("slowest" in answer) {
      watcher.tell?.(answer.slowest);
      return;
    }
    const caller = waiting.get(answer.serial);
    waiting.delete(answer.serial);
    if ("error" in answer) {
      caller?.reject(new Error(answer.error));
    } else {
      caller?.resolve(answer.report);
    }
  });
  child.on("exit", () => {
    for (const caller of waiting.values()) {
      caller.reject(new Error("The load generator has ended."));
    }
    waiting.clear();
  });
  const ask = (order: Order): Promise<Report> =>
    new Promise((resolve, reject) => {
      waiting.set(++serial, { resolve, reject });
      child.send({ ...order, serial }, (error) => (error === null ? undefined : reject(error)));
    });
  return {
    ask,
    connect: (host, channel, options) =>
      ask({
        sample: null,
        lastEventId: null,
        ...options,
        do: "connect",
        port: host.port,
        path: host.eventsPath(channel),
      }),
    watch: (listener) => {
      watcher.tell = listener;
      return ask({ do: "watch" });
    },
    stop: cleanup.add(() => void child.kill("SIGKILL")),
  };
}
