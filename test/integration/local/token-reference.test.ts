import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { tokensOf } from "../../../src/auth/static-token.ts";
import { readDevVars } from "../../../src/local/dev-vars.ts";
import { referTo } from "../../../src/local/token-reference.ts";

describe("the placeholder of a token in a line to paste", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'edge-sse it\'s "$HOME" '));
    file = join(folder, ".dev.vars");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** The reference, and its value in a shell with that environment. */
  const resolve = (text: string, env: Record<string, string> = {}) => {
    writeFileSync(file, text, { mode: 0o600 });
    const [token = ""] = tokensOf(readDevVars(file, env)["PUBLISH_TOKEN"]);
    const reference = referTo({ file, env })("PUBLISH_TOKEN", token);
    const word = execFileSync("/bin/sh", ["-c", `printf '%s' "Bearer ${reference}"`], {
      encoding: "utf8",
      env: { PATH: process.env["PATH"], ...env },
    });
    return { token, reference, word };
  };

  it.each([
    ["a line", "PUBLISH_TOKEN=abc-7f3a\nADMIN_TOKEN=a\n", "abc-7f3a"],
    ["the first of a list", "ADMIN_TOKEN=a\nPUBLISH_TOKEN=new-7f3a,old-7f3a\n", "new-7f3a"],
    ["quotes", "ADMIN_TOKEN=a\nPUBLISH_TOKEN='a b#c'\n", "a b#c"],
    ["spaces in a list", "ADMIN_TOKEN=a\nPUBLISH_TOKEN= , new-7f3a , old-7f3a # rotated\n", "new-7f3a"],
    [
      "a line that comes twice",
      "PUBLISH_TOKEN=one-7f3a\nADMIN_TOKEN=a\nPUBLISH_TOKEN=two-7f3a\n",
      "two-7f3a",
    ],
    ["an export", "export PUBLISH_TOKEN=abc-7f3a\nADMIN_TOKEN=a\n", "abc-7f3a"],
    ["Windows line ends", "PUBLISH_TOKEN=abc-7f3a\r\nADMIN_TOKEN=a\r\n", "abc-7f3a"],
    ["a name that ends alike", "MY_PUBLISH_TOKEN=no\nPUBLISH_TOKEN=abc-7f3a\nADMIN_TOKEN=a\n", "abc-7f3a"],
    ["a slash, and what sed takes for special", "PUBLISH_TOKEN=a/b&c\nADMIN_TOKEN=a\n", "a/b&c"],
    ["a dollar sign", "PUBLISH_TOKEN='$HOME`id`'\nADMIN_TOKEN=a\n", "$HOME`id`"],
  ])("is found in .dev.vars through %s", (_, text, token) => {
    const resolved = resolve(text);
    expect(resolved.token).toBe(token);
    expect(resolved.word).toBe(`Bearer ${token}`);
    expect(resolved.reference).not.toContain(token);
  });

  it.each([
    ["abc-7f3a", "$PUBLISH_TOKEN", "abc-7f3a"],
    ["new-7f3a,old-7f3a", "${PUBLISH_TOKEN%%,*}", "new-7f3a"],
    [" , a/b-7f3a , old", undefined, "a/b-7f3a"],
    ["$HOME", "$PUBLISH_TOKEN", "$HOME"],
  ])("is found in the environment as %j", (value, reference, token) => {
    const resolved = resolve("PUBLISH_TOKEN=file\nADMIN_TOKEN=a\n", { PUBLISH_TOKEN: value });
    expect(resolved.word).toBe(`Bearer ${token}`);
    expect(resolved.reference).toBe(reference ?? resolved.reference);
    expect(resolved.reference).not.toContain(token);
  });
});
