import { describe, expect, it } from "vitest";

import { HubError } from "../../../../src/hub/errors.ts";
import { RefusalLog } from "../../../../src/service/response/refusal-log.ts";

const refusal = new HubError("rate_limited", "Too many.");

/** Notes errors at certain times. Returns the log lines. */
function linesOf(notes: readonly [at: number, error: Error][]): unknown[] {
  const lines: unknown[] = [];
  let now = 0;
  const log = new RefusalLog((level, event, fields) => lines.push([level, event, fields]), {
    now: () => now,
  });
  for (const [at, error] of notes) {
    now = at;
    log.note(error);
  }
  return lines;
}

describe("the log of refusals", () => {
  it("has one line a second, with the number of refusals since the last line", () => {
    const times = Array.from({ length: 300 }, (_, index) => 1_000_000 + index * 10);
    expect(linesOf(times.map((at) => [at, refusal]))).toEqual(
      [1, 100, 100].map((count) => ["warn", "request_refused", { code: "rate_limited", count }]),
    );
  });

  it("goes on after the clock was set back, and ignores other errors", () => {
    expect(
      linesOf([
        [1_000_000, refusal],
        [5_000, new Error("a bug")],
        [5_000, refusal],
      ]),
    ).toHaveLength(2);
  });
});
