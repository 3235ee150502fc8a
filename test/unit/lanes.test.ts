import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { describe, expect, it } from "vitest";

/** Modules that start a process, open a socket or build. Tests that need them belong to `test/integration`. */
const IMPURE =
  /^(?:node:(?:child_process|worker_threads|cluster|net|tls|http2?|https|dgram)|esbuild|playwright-core)$/;

const WRITES = /\b(?:write|append|copy|mk|rm|rename|symlink|chmod|utimes|cp)(?:File|dir|dtemp)?(?:Sync)?\b/;

interface Import {
  readonly names: string;
  readonly from: string;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^(?:import|export)\s+(?!type\s)([^;"'`]*?)\bfrom\s+"([^"]+)"/gm)].map(
    ([, names = "", from = ""]) => ({
      names,
      from: from.startsWith(".") ? normalize(join(dirname(file), from)) : from,
    }),
  );
}

/** The imports of a test and its fakes. The test of the architecture checks those of the sources. */
function impuritiesOf(file: string, seen = new Set<string>()): string[] {
  if (seen.has(file)) {
    return [];
  }
  seen.add(file);
  return importsOf(file).flatMap(({ names, from }) => {
    if (IMPURE.test(from) || (from.startsWith("node:fs") && WRITES.test(names))) {
      return [`${file} imports ${from}`];
    }
    return /^(?:test|bench)\/.*\.ts$/.test(from) ? impuritiesOf(from, seen) : [];
  });
}

describe("the unit lane", () => {
  const tests = globSync("test/unit/**/*.test.ts");

  it("starts no process, opens no socket, builds nothing and writes no file", () => {
    expect(tests.length).toBeGreaterThan(50);
    expect(tests.flatMap((file) => impuritiesOf(file))).toEqual([]);
  });

  it("would be caught if it did", () => {
    expect(impuritiesOf("test/integration/local/curl.test.ts")).not.toEqual([]);
    expect(impuritiesOf("test/integration/local/replace-file.test.ts")).not.toEqual([]);
    expect(impuritiesOf("test/integration/client/node.test.ts")).not.toEqual([]);
  });
});
