import { cpuMilliseconds, waitedMilliseconds } from "./process-usage.ts";
import type { Generator } from "./generator.ts";

/** CPU usage as shares of one core, from 0 to 1, or more if several threads run at once. */
export interface Usage {
  readonly runtime: number;
  readonly generator: number;
  readonly publisher: number;
  /** The share of time in which the runtime was ready to run but no core was free. */
  readonly runtimeWaited: number;
}

/** Starts to measure. Returns a function that resolves to the usage since then. */
export async function meterUsage(pid: number, generator?: Generator): Promise<() => Promise<Usage>> {
  const read = async () => {
    const looked = await generator?.ask({ do: "look" });
    const own = process.cpuUsage();
    return {
      at: performance.now(),
      runtime: cpuMilliseconds(pid),
      waited: waitedMilliseconds(pid),
      generator: looked?.cpuMs ?? 0,
      publisher: (own.user + own.system) / 1000,
    };
  };
  const before = await read();
  return async () => {
    const after = await read();
    const elapsed = after.at - before.at;
    return {
      runtime: (after.runtime - before.runtime) / elapsed,
      generator: (after.generator - before.generator) / elapsed,
      publisher: (after.publisher - before.publisher) / elapsed,
      runtimeWaited: (after.waited - before.waited) / elapsed,
    };
  };
}

/** The mean of several usages. */
export function meanUsage(usages: readonly Usage[]): Usage {
  const mean = (of: (usage: Usage) => number): number =>
    usages.reduce((sum, usage) => sum + of(usage), 0) / usages.length;
  return {
    runtime: mean((usage) => usage.runtime),
    generator: mean((usage) => usage.generator),
    publisher: mean((usage) => usage.publisher),
    runtimeWaited: mean((usage) => usage.runtimeWaited),
  };
}

/** Reasons to doubt that a number describes the service and not the load generator or the machine. */
export function doubtsOf(usage: Usage): string[] {
  const doubts: string[] = [];
  if (usage.generator > 0.85) {
    doubts.push(`generator-bound: the load generator used ${percent(usage.generator)} of a core`);
  }
  if (usage.publisher > 0.85) {
    doubts.push(`publisher-bound: the publisher used ${percent(usage.publisher)} of a core`);
  }
  if (usage.runtimeWaited > 0.15) {
    doubts.push(`busy machine: the runtime waited ${percent(usage.runtimeWaited)} of the time for a core`);
  }
  return doubts;
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}
