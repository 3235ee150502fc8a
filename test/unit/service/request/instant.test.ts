import { describe, expect, it } from "vitest";

import { parseInstant } from "../../../../src/service/request/instant.ts";

const NOW = Date.UTC(2026, 0, 29, 10, 0, 0, 123);

describe("a duration back from now", () => {
  it.each([
    ["1s", 1_000],
    ["90s", 90_000],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
    ["365d", 365 * 86_400_000],
    ["8760h", 365 * 86_400_000],
    ["31536000s", 365 * 86_400_000],
    ["007s", 7_000],
  ])("is read: %s", (text, ms) => {
    expect(parseInstant(text, NOW)).toBe(NOW - ms);
  });

  it.each(["0s", "0d", "366d", "31536001s", "8761h", "99999999d", "999999999s"])(
    "outside 1 s to 365 d is refused: %s",
    (text) => {
      expect(parseInstant(text, NOW)).toBeNull();
    },
  );

  it.each([
    "",
    "s",
    "10",
    "10S",
    "10 s",
    "-10s",
    "+10s",
    "1.5h",
    "1e3s",
    "10w",
    "10ms",
    "1h30m",
    "٣s",
    "10s\n",
    "\n10s",
  ])("of another form is refused: %j", (text) => {
    expect(parseInstant(text, NOW)).toBeNull();
  });
});

describe("a time", () => {
  it.each([
    ["2026-01-29T10:00:00Z", Date.UTC(2026, 0, 29, 10)],
    ["2026-01-29T10:00Z", Date.UTC(2026, 0, 29, 10)],
    ["2026-01-29T10:00:00.5Z", Date.UTC(2026, 0, 29, 10, 0, 0, 500)],
    ["2026-01-29T10:00:00.123456789Z", Date.UTC(2026, 0, 29, 10, 0, 0, 123)],
    ["2026-01-29T10:00:00+01:00", Date.UTC(2026, 0, 29, 9)],
    ["2026-01-29T10:00:00-0130", Date.UTC(2026, 0, 29, 11, 30)],
    ["2026-01-29T10:00:00 01:00", Date.UTC(2026, 0, 29, 9)],
    ["2026-01-29T00:30:00+01:00", Date.UTC(2026, 0, 28, 23, 30)],
    ["2024-02-29T00:00:00Z", Date.UTC(2024, 1, 29)],
    ["1969-12-31T23:59:59Z", -1_000],
    ["9999-12-31T23:59:59Z", Date.UTC(9999, 11, 31, 23, 59, 59)],
  ])("is read: %s", (text, expected) => {
    expect(parseInstant(text, NOW)).toBe(expected);
  });

  it("is exact to the millisecond", () => {
    const start = Date.UTC(2026, 0, 29, 10);
    const read = Array.from({ length: 1_000 }, (_, ms) =>
      parseInstant(`2026-01-29T10:00:00.${String(ms).padStart(3, "0")}Z`, NOW),
    );
    expect(read).toEqual(Array.from({ length: 1_000 }, (_, ms) => start + ms));
  });

  it.each([
    "2026-02-29T00:00:00Z",
    "2026-02-31T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-00T00:00:00Z",
    "2026-01-29T24:00:00Z",
    "2026-01-29T23:60:00Z",
    "2026-01-29T23:59:60Z",
    "2026-01-29T10:00:00+24:00",
    "2026-01-29T10:00:00+01:60",
  ])("that does not exist is refused: %s", (text) => {
    expect(parseInstant(text, NOW)).toBeNull();
  });

  it.each([
    "2026-01-29",
    "2026-01-29T10:00:00",
    "2026-01-29 10:00:00Z",
    "2026-01-29t10:00:00z",
    "2026-01-29T10Z",
    "2026-01-29T10:00:00.Z",
    "2026-01-29T10:00:00,5Z",
    "2026-01-29T10:00:00+01",
    "2026-01-29T10:00:00Z ",
    "20260129T100000Z",
    "+002026-01-29T10:00:00Z",
    "1769680800",
    "1769680800000",
    "now",
    "yesterday",
    "Thu, 29 Jan 2026 10:00:00 GMT",
  ])("of another form is refused: %s", (text) => {
    expect(parseInstant(text, NOW)).toBeNull();
  });
});
