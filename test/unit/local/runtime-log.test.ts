import { PassThrough } from "node:stream";

import { describe, expect, it, vi } from "vitest";

import { RuntimeLog } from "../../../src/local/runtime-log.ts";

function record() {
  const written: [message: string, count: number][] = [];
  const log = new RuntimeLog({ windowMs: 1000, write: (message, count) => written.push([message, count]) });
  return { log, written };
}

/** A number without digits. */
function letters(n: number): string {
  return [...String(n)].map((digit) => "ghijklmnop"[Number(digit)]).join("");
}

describe("the output of the runtime", () => {
  it("is written at once, and similar lines are summed up", () => {
    vi.useFakeTimers();
    try {
      const { log, written } = record();
      for (let n = 0; n < 100; n++) {
        log.add(`error 0x${n}ab: no handler for "${n}"`);
      }
      expect(written).toEqual([['error 0x0ab: no handler for "0"', 1]]);
      vi.advanceTimersByTime(1000);
      expect(written.slice(1)).toEqual([['error 0x99ab: no handler for "99"', 99]]);
      vi.advanceTimersByTime(5000);
      log.add("error 0x1ab: no handler for 'x'");
      expect(written).toHaveLength(3);
    } finally {
      vi.useRealTimers();
    }
  });

  it("is at most 42 lines, whatever its lines are", () => {
    const { log, written } = record();
    for (let n = 0; n < 2000; n++) {
      log.add(letters(n % 1000));
    }
    log.flush();
    expect(written.length).toBeLessThanOrEqual(42);
    expect(written.reduce((sum, [, count]) => sum + count, 0)).toBe(2000);
  });

  it("is cut, and a line without an end costs nothing", async () => {
    const { log, written } = record();
    const output = new PassThrough();
    const following = log.follow(output);
    output.write("first\n");
    for (let n = 0; n < 100; n++) {
      output.write("x".repeat(65_536));
    }
    output.end("\n\nlast\nunfinished");
    await following;
    expect(written.map(([message]) => message)).toEqual(["first", "x".repeat(500), "last", "unfinished"]);
  });
});
