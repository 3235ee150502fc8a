import { availableParallelism, cpus } from "node:os";
import { createRequire } from "node:module";

import { judge, type Bound, type Measure, type Outcome, type Row, type Verdict } from "./row.ts";
import type { ServiceHost } from "./service.ts";
import { doubtsOf, type Usage } from "./usage.ts";

/** A row and its outcome on one host. */
export type Result = { readonly row: Row; readonly host: ServiceHost; readonly seconds: number } & (
  | { readonly outcome: Outcome }
  | { readonly failure: string }
);

/** Whether every row was measured and met its required values. */
export function allKept(results: readonly Result[]): boolean {
  return results.every(
    (result) =>
      "outcome" in result && result.outcome.measures.every((measure) => verdictOf(measure) !== "missed"),
  );
}

/** The machine and versions. A number means little without them. */
function machine(): Record<string, string | number> {
  const require = createRequire(import.meta.url);
  const versionOf = (name: string): string =>
    (require(`${name}/package.json`) as { version: string }).version;
  return {
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    node: process.version,
    workerd: versionOf("workerd"),
    deno: versionOf("deno"),
  };
}

/** The results as JSON. */
export function toJson(results: readonly Result[]): string {
  const rows = results.map((result) => ({
    row: result.row.name,
    title: result.row.title,
    host: result.host,
    seconds: result.seconds,
    ...("failure" in result
      ? { failure: result.failure }
      : {
          measures: result.outcome.measures.map((measure) => ({ ...measure, verdict: verdictOf(measure) })),
          usage: result.outcome.usage,
          notes: result.outcome.notes,
          doubts: doubts(result.outcome),
        }),
  }));
  return JSON.stringify({ machine: machine(), kept: allKept(results), rows }, null, 2);
}

const WIDTHS = [30, 16, 14, 14];

export function tableHead(): string {
  const { cpu, cores, platform, node, workerd, deno } = machine();
  return [
    `${cores} cores of ${cpu}, ${platform}, Node ${node}, workerd ${workerd}, Deno ${deno}`,
    "",
    columns(["", "measured", "must", "aim", "verdict"]),
  ].join("\n");
}

/** One row of the printed table. */
export function tableRow(result: Result): string {
  const lines = [
    `\n${result.row.title}  [${result.row.name}, on ${result.host}, ${result.seconds.toFixed(0)} s]`,
  ];
  if ("failure" in result) {
    return [...lines, `  FAILED: ${result.failure}`].join("\n");
  }
  const { measures, usage, notes } = result.outcome;
  for (const measure of measures) {
    const { what, value, unit, bound } = measure;
    lines.push(
      columns([
        `  ${what}`,
        show(value, unit),
        bound === undefined ? "" : limit(bound, bound.must, unit),
        bound === undefined ? "" : limit(bound, bound.aim, unit),
        verdictText[verdictOf(measure)],
      ]),
    );
  }
  lines.push(...notes.map((note) => `    ${note}`));
  lines.push(...Object.entries(usage).map(([host, used]) => `    ${usageText(host, used)}`));
  lines.push(...doubts(result.outcome).map((doubt) => `    WARNING ${doubt}`));
  return lines.join("\n");
}

const verdictText: Record<Verdict | "none", string> = {
  aim: "meets the aim",
  must: "meets the must",
  missed: "MISSED",
  none: "",
};

function verdictOf({ value, bound }: Measure): Verdict | "none" {
  return bound === undefined ? "none" : judge(value, bound);
}

function doubts({ usage }: Outcome): string[] {
  return Object.entries(usage).flatMap(([host, used]) => doubtsOf(used).map((doubt) => `${host}: ${doubt}`));
}

function usageText(host: string, { runtime, generator, publisher, runtimeWaited }: Usage): string {
  return (
    `CPU, ${host}: runtime ${share(runtime)} of a core (waited for a core ${share(runtimeWaited)} of the time), ` +
    `generator ${share(generator)}, publisher ${share(publisher)}`
  );
}

function share(value: number): string {
  return `${(value * 100).toFixed(value < 0.1 ? 1 : 0)} %`;
}

function limit({ is }: Bound, value: number, unit: string): string {
  return `${is === "below" ? "<" : ">="} ${show(value, unit)}`;
}

function show(value: number, unit: string): string {
  const number =
    unit === "/s"
      ? Math.round(value).toLocaleString("en")
      : unit === "x" || unit === "%"
        ? value.toFixed(2)
        : value.toFixed(1);
  return `${number}${unit.startsWith("/") ? "" : " "}${unit}`;
}

function columns(texts: readonly string[]): string {
  return texts
    .map((text, index) => text.padEnd(WIDTHS[index] ?? 0))
    .join(" ")
    .trimEnd();
}
