import { execFileSync } from "node:child_process";

import { describe, expect, it } from "vitest";

import { curlLines } from "../../../src/local/curl.ts";

/** The words of a line as a shell hands them to a program. */
function wordsOf(line: string | undefined): string[] {
  return execFileSync("/bin/sh", ["-c", `printf '%s\\n' ${line}`], { encoding: "utf8" })
    .trimEnd()
    .split("\n");
}

describe("the lines to paste", () => {
  it("stream and publish", () => {
    const [stream, publish] = curlLines("http://127.0.0.1:8787", ["default"], "secret");
    expect(stream).toBe("curl -N http://127.0.0.1:8787/api/events");
    expect(wordsOf(publish)).toEqual(
      expect.arrayContaining(["Authorization: Bearer secret", "http://127.0.0.1:8787/api/publish"]),
    );
  });

  it("survive a shell, whatever the token is", () => {
    const token = `it's "$HOME" \\ \`id\` !`;
    const [, publish] = curlLines("http://[::1]:1", ["default"], token);
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
    const [stream, publish] = curlLines("http://h:1", allowed, "t");
    expect(wordsOf(stream).at(-1)).toBe(`http://h:1/api/events${query}`);
    expect(wordsOf(publish).at(-1)).toBe(`http://h:1/api/publish${query}`);
  });
});
