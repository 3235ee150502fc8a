import { describe, expect, it } from "vitest";

import { isChannelName, requireAllowed } from "../../../src/edge/channels.ts";

describe("the name of a channel", () => {
  it.each(["a", "0", "default", "board-1", "a_b", "a".repeat(64)])("may be %s", (name) => {
    expect(isChannelName(name)).toBe(true);
  });

  it.each(["", "A", "-a", "_a", "a b", "a.b", "a/b", "a*", "*", "ä", "a\n", "a".repeat(65), "../a", "a%20"])(
    "may not be %j",
    (name) => {
      expect(isChannelName(name)).toBe(false);
    },
  );
});

describe("the channels that the configuration allows", () => {
  it.each([
    ["default", ["default"]],
    ["board-1", ["default", "board-*"]],
    ["board-", ["board-*"]],
    ["anything", ["*"]],
  ])("let %s through with %j", (channel, allowed) => {
    expect(() => requireAllowed(channel, allowed)).not.toThrow();
  });

  it.each([
    ["defaults", ["default"]],
    ["default", []],
    ["board", ["board-*"]],
    ["aboard-1", ["board-*"]],
    ["axb", ["a.b"]],
    ["default", ["defaul", "efault", "DEFAULT"]],
  ])("refuse %s with %j", (channel, allowed) => {
    expect(() => requireAllowed(channel, allowed)).toThrow(
      expect.objectContaining({ code: "unknown_channel" }),
    );
  });
});
