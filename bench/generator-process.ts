// The load generator. It is a separate process, so that its CPU time can be measured separately.
import { setTimeout as sleep } from "node:timers/promises";

import type { Answer, Connect, Order, Reach, Report } from "./generator.ts";
import { openReceiver, type Receiver } from "./receiver.ts";

/** How often the slowest client is determined. */
const LOOK_MS = 2;

/** The most connections that are opened at the same time: the backlog of the listening socket must not overflow. */
const OPENING = 32;

const receivers: Receiver[] = [];
let latenciesMs: number[] = [];
let ends: string[] = [];
let watch: NodeJS.Timeout | undefined;
let toldSlowest = -1;

process.on("message", ({ serial, ...order }: Order & { serial: number }) => {
  obey(order).then(
    () => answer({ serial, report: report(order.do === "take" ? take() : []) }),
    (error: unknown) => answer({ serial, error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
// Ctrl-C reaches the whole process group, but this process must live until its parent has cleaned up.
process.on("SIGINT", () => {});

function answer(message: Answer): void {
  process.send?.(message);
}

async function obey(order: Order): Promise<void> {
  if (order.do === "connect") {
    await connect(order);
  } else if (order.do === "reach") {
    await reach(order);
  } else if (order.do === "watch") {
    watch ??= setInterval(tellSlowest, LOOK_MS);
  } else if (order.do === "close") {
    close();
  }
}

async function connect(order: Connect): Promise<void> {
  let left = order.clients;
  const openOneByOne = async (): Promise<void> => {
    while (left > 0) {
      left--;
      await open(order, order.sample !== null && left % order.sample === 0);
    }
  };
  await Promise.all(Array.from({ length: OPENING }, openOneByOne));
}

function open({ port, path, attention, lastEventId }: Connect, sampled: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    const receiver = openReceiver({
      port,
      path,
      lastEventId,
      attention: sampled ? "every" : attention,
      onStamp: (stamp) => latenciesMs.push((microseconds() - stamp) / 1_000),
      onOpen: resolve,
      onEnd: (why) => {
        ends.push(why);
        reject(new Error(`a client of ${path} was closed: ${why}`));
      },
    });
    receivers.push(receiver);
  });
}

/** The monotonic clock, which all processes of a machine share. */
function microseconds(): number {
  return Number(process.hrtime.bigint()) / 1_000;
}

async function reach({ id, withinMs }: Reach): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (slowest() < id) {
    if (performance.now() > deadline) {
      throw new Error(
        `after ${withinMs} ms a client has reached id ${slowest()} instead of ${id}; ${ends.length} clients were closed`,
      );
    }
    await sleep(1);
  }
}

function close(): void {
  for (const receiver of receivers.splice(0)) {
    receiver.close();
  }
  ends = [];
  latenciesMs = [];
}

function take(): number[] {
  const taken = latenciesMs;
  latenciesMs = [];
  return taken;
}

function report(latencies: number[]): Report {
  const { user, system } = process.cpuUsage();
  const sum = (of: (receiver: Receiver) => number): number =>
    receivers.reduce((total, receiver) => total + of(receiver), 0);
  return {
    atMs: performance.now(),
    cpuMs: (user + system) / 1_000,
    clients: receivers.length,
    slowest: slowest(),
    delivered: sum(({ lastId }) => lastId),
    events: sum(({ events }) => events),
    faults: sum(({ faults }) => faults),
    ends,
    latenciesMs: Float64Array.from(latencies),
  };
}

function slowest(): number {
  return receivers.reduce((least, { lastId }) => Math.min(least, lastId), Number.POSITIVE_INFINITY);
}

function tellSlowest(): void {
  const id = slowest();
  if (id !== toldSlowest) {
    toldSlowest = id;
    answer({ slowest: id });
  }
}
