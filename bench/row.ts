import type { Cleanup } from "./cleanup.ts";
import type { ServiceHost } from "./service.ts";
import type { Usage } from "./usage.ts";

/** A row of the benchmark. It starts and stops the hosts that it measures. */
export interface Row {
  readonly name: string;
  readonly title: string;
  /** The hosts that it can be measured on. Absent: all. */
  readonly hosts?: readonly ServiceHost[];
  measure(options: RowOptions): Promise<Outcome>;
}

export interface RowOptions {
  /** Where the service runs. */
  readonly host: ServiceHost;
  readonly cleanup: Cleanup;
  /** The length of one measurement; null: the row decides. */
  readonly seconds: number | null;
}

export interface Outcome {
  readonly measures: readonly Measure[];
  /** The CPU usage of each host during the measurement. */
  readonly usage: Readonly<Record<string, Usage>>;
  readonly notes: readonly string[];
}

export interface Measure {
  readonly what: string;
  readonly value: number;
  readonly unit: string;
  /** Absent: the value is only informative. */
  readonly bound?: Bound;
}

export interface Bound {
  readonly is: "below" | "at least";
  readonly must: number;
  readonly aim: number;
}

export type Verdict = "aim" | "must" | "missed";

export function judge(value: number, { is, must, aim }: Bound): Verdict {
  const keeps = (limit: number): boolean => (is === "below" ? value < limit : value >= limit);
  if (!keeps(must)) {
    return "missed";
  }
  return keeps(aim) ? "aim" : "must";
}
