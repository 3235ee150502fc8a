import { afterEach, describe, expect, it, vi } from "vitest";

import { noteRefusal } from "../../../src/edge/refusal-log.ts";
import { HubError } from "../../../src/hub/errors.ts";

const env = { LOGGING: { level: "info" } } as const;
const refusal = new HubError("rate_limited", "Too many.");

function lines(note: () => void): { event: string; code: string; count: number }[] {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  note();
  return log.mock.calls.map(
    ([line]) => JSON.parse(String(line)) as { event: string; code: string; count: number },
  );
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe("the log of refusals", () => {
  it("has one line a second, with the number of refusals since the last one", () => {
    const written = lines(() => {
      for (let now = 1_000_000; now < 1_003_000; now += 10) {
        noteRefusal(refusal, env, now);
      }
    });
    expect(written.map(({ event, code, count }) => [event, code, count])).toEqual([
      ["request_refused", "rate_limited", 1],
      ["request_refused", "rate_limited", 100],
      ["request_refused", "rate_limited", 100],
    ]);
  });

  it("does not wait for a clock that was set back, and does not log what is no refusal", () => {
    const written = lines(() => {
      noteRefusal(new Error("a bug"), env, 5_000);
      noteRefusal(refusal, env, 5_000);
    });
    expect(written).toHaveLength(1);
  });
});
