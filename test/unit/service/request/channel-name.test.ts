import { describe, expect, it } from "vitest";

import { isChannelName, requireAllowed } from "../../../../src/service/request/channel-name.ts";

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
  ])("include %s if the list is %j", (channel, allowed) => {
    expect(() => requireAllowed(channel, allowed)).not.toThrow();
  });

  it.each([
    ["defaults", ["default"]],
    ["default", []],
    ["board", ["board-*"]],
    ["aboard-1", ["board-*"]],
    ["axb", ["a.b"]],
    ["default", ["defaul", "efault", "DEFAULT"]],
  ])("do not include %s if the list is %j", (channel, allowed) => {
    expect(() => requireAllowed(channel, allowed)).toThrow(
      expect.objectContaining({ code: "unknown_channel" }),
    );
  });
});

describe("a channel that the grant does not cover", () => {
  it.each<[string, readonly string[]]>([
    ["board-2", ["board-1"]],
    ["board-1", []],
    ["board", ["board-*"]],
  ])("looks like a channel that does not exist: %s under %j", (channel, channels) => {
    const refusals = [{ allowed: ["*"], grant: { channels } }, { allowed: ["other"] }].map(
      ({ allowed, grant }) => {
        try {
          requireAllowed(channel, allowed, grant);
        } catch (error) {
          return error;
        }
        return null;
      },
    );
    expect(refusals[0]).toMatchObject({ code: "unknown_channel" });
    expect(refusals[0]).toEqual(refusals[1]);
  });

  it("does not exist because a grant names it", () => {
    expect(() => requireAllowed("board-1", ["default"], { channels: ["board-1", "*"] })).toThrow(
      expect.objectContaining({ code: "unknown_channel" }),
    );
    expect(() => requireAllowed("board-1", ["board-*"], { channels: ["board-1"] })).not.toThrow();
  });
});
