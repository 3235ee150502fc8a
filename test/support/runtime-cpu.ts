import { cpuMilliseconds, findDescendant } from "../../bench/process-usage.ts";
import { host } from "./host.ts";
import type { Service } from "./service.ts";

/** Tries after a first one that was too expensive: a garbage collection may have fallen into it. */
const TRIES = 5;

/** The process of the runtime, which does all the work of a service. */
export function runtimeOf(service: Service): number {
  const pid = findDescendant(service.pid, host.name);
  if (pid === undefined) {
    throw new Error("The service has no runtime");
  }
  return pid;
}

/**
 * Milliseconds of CPU that the runtime of a service uses for a request. One that costs more than the bound is sent
 * again, and the median counts.
 */
export async function cpuOf(pid: number, bound: number, send: () => Promise<unknown>): Promise<number> {
  const first = await once(pid, send);
  if (first <= bound) {
    return first;
  }
  const costs: number[] = [];
  for (let attempt = 0; attempt < TRIES; attempt++) {
    costs.push(await once(pid, send));
  }
  return costs.toSorted((a, b) => a - b)[Math.floor(TRIES / 2)] ?? first;
}

async function once(pid: number, send: () => Promise<unknown>): Promise<number> {
  const before = cpuMilliseconds(pid);
  await send();
  return cpuMilliseconds(pid) - before;
}
