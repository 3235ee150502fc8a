import { describe, expect, it } from "vitest";

import { isEventType, isReservedType } from "../../../src/sse/event-type.ts";

describe("isEventType", () => {
  it.each(["a", "Z", "_", "0", "state_transition", "a.b:c-d_e", "x".repeat(64), "connected"])(
    "takes %s",
    (text) => {
      expect(isEventType(text)).toBe(true);
    },
  );

  it.each([
    ["nothing", ""],
    ["65 characters", "x".repeat(65)],
    ["a dot at the start", ".a"],
    ["a colon at the start", ":a"],
    ["a hyphen at the start", "-a"],
    ["a space", "a b"],
    ["LF", "a\n"],
    ["LF at the start", "\na"],
    ["CR", "a\rb"],
    ["NUL", "a\u0000"],
    ["a comma, which separates the entries of a filter", "a,b"],
    ["a star, which makes a prefix of a filter", "a*"],
    ["a letter beyond ASCII", "ä"],
    ["a slash", "a/b"],
  ])("refuses %s", (_, text) => {
    expect(isEventType(text)).toBe(false);
  });
});

describe("isReservedType", () => {
  it.each(["connected", "gap", "error", "close", "heartbeat", "open"])("reserves %s", (type) => {
    expect(isReservedType(type)).toBe(true);
  });

  it.each(["message", "Connected", "closed", "errors", "constructor", "__proto__"])(
    "does not reserve %s",
    (type) => {
      expect(isReservedType(type)).toBe(false);
    },
  );
});
