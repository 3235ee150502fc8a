import { afterEach, describe, expect, it, vi } from "vitest";

import { createLogger } from "../../../src/service/logger.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

function linesOf(work: () => void): Record<string, unknown>[] {
  const written = vi.spyOn(console, "log").mockImplementation(() => undefined);
  work();
  return written.mock.calls.map(([line]) => JSON.parse(String(line)) as Record<string, unknown>);
}

describe("the log of the service", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("has one line of JSON for each event, with its fields", () => {
    const [line] = linesOf(() =>
      createLogger("info", { channel: "a" })("warn", "limit_reached", { count: 3 }),
    );
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      level: "warn",
      event: "limit_reached",
      channel: "a",
      count: 3,
    });
  });

  it.each(LEVELS)("includes the events from the level %s upwards", (from) => {
    const lines = linesOf(() => {
      for (const level of LEVELS) {
        createLogger(from)(level, "happened");
      }
    });
    expect(lines.map(({ level }) => level)).toEqual(LEVELS.slice(LEVELS.indexOf(from)));
  });

  it("keeps text of a client within one line", () => {
    const written = vi.spyOn(console, "log").mockImplementation(() => undefined);
    createLogger("info")("info", "client_reconnected", { last_event_id: "a\n{}\u2028" });
    expect(String(written.mock.calls[0]?.[0])).not.toContain("\n");
  });
});
