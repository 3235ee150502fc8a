import { execFileSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { configSchema, type Config } from "../../../src/config/schema.ts";
import { curlLines } from "../../../src/local/curl.ts";

/** The configuration of a test: its channels, and whom it lets in. */
function configOf(allowed: readonly string[], auth: object = {}): Config {
  return configSchema.parse({ channels: { allowed }, auth });
}

/** The words of a line as a shell hands them to a program. */
function wordsOf(line: string | undefined): string[] {
  return execFileSync("/bin/sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
}

describe("the lines to paste", () => {
  it("stream and publish", () => {
    const [stream, publish] = curlLines("http://127.0.0.1:8787", configOf(["default"]), {
      PUBLISH_TOKEN: "secret",
    });
    expect(stream).toBe("curl -N http://127.0.0.1:8787/api/events");
    expect(wordsOf(publish)).toEqual(
      expect.arrayContaining(["Authorization: Bearer secret", "http://127.0.0.1:8787/api/publish"]),
    );
  });

  it("survive a shell, whatever the token is", () => {
    const token = `it's "$HOME" \\ \`id\` !`;
    const [, publish] = curlLines("http://[::1]:1", configOf(["default"]), { PUBLISH_TOKEN: token });
    expect(wordsOf(publish)).toEqual([
      "curl",
      "-H",
      `Authorization: Bearer ${token}`,
      "-H",
      "Content-Type: application/json",
      "-d",
      '{"type":"state_transition","data":{"agent_id":1,"from_state":"idle","to_state":"processing"}}',
      "http://[::1]:1/api/publish",
    ]);
  });

  it.each([
    [["*"], ""],
    [["board", "def*"], ""],
    [["board"], "?channel=board"],
    [["board-*"], "?channel=board-"],
  ])("name a channel that exists: %j", (allowed, query) => {
    const [stream, publish] = curlLines("http://h:1", configOf(allowed), { PUBLISH_TOKEN: "t" });
    expect(wordsOf(stream).at(-1)).toBe(`http://h:1/api/events${query}`);
    expect(wordsOf(publish).at(-1)).toBe(`http://h:1/api/publish${query}`);
  });

  it.each<[string, object, Record<string, string>, string | null, string]>([
    ["no token for a public stream", {}, { PUBLISH_TOKEN: "p" }, null, "p"],
    [
      "the token of the stream",
      { subscribe: "token" },
      { PUBLISH_TOKEN: "p", SUBSCRIBE_TOKEN: "s" },
      "s",
      "p",
    ],
    [
      "of a list the first token alone",
      { subscribe: ["jwt", "token"], publish: ["token", "jwt"] },
      { PUBLISH_TOKEN: " new , old", SUBSCRIBE_TOKEN: ",s1,s2" },
      "s1",
      "new",
    ],
    [
      "a JWT where only that is let in, whatever tokens there are",
      { subscribe: "jwt", publish: "jwt" },
      { PUBLISH_TOKEN: "p", SUBSCRIBE_TOKEN: "s" },
      "<a JWT>",
      "<a JWT>",
    ],
    [
      "a JWT where it is let in and there is no token",
      { subscribe: ["token", "jwt"] },
      { PUBLISH_TOKEN: "p", SUBSCRIBE_TOKEN: " , " },
      "<a JWT>",
      "p",
    ],
    [
      "the name of the secret that is missing",
      { subscribe: "token" },
      { PUBLISH_TOKEN: "" },
      "<SUBSCRIBE_TOKEN>",
      "<PUBLISH_TOKEN>",
    ],
  ])("carry %s", (_, auth, vars, reads, writes) => {
    const [stream, publish] = curlLines("http://h:1", configOf(["default"], auth), vars);
    const header = reads === null ? [] : ["-H", `Authorization: Bearer ${reads}`];
    expect(wordsOf(stream)).toEqual(["curl", "-N", ...header, "http://h:1/api/events"]);
    expect(wordsOf(publish).slice(0, 3)).toEqual(["curl", "-H", `Authorization: Bearer ${writes}`]);
  });
});
