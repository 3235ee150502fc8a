import {
  lstatSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { replaceFile } from "../../../src/local/replace-file.ts";
import { writeIfChanged } from "../../../src/local/write-if-changed.ts";

describe("a file that is written", () => {
  let folder: string;
  let file: string;
  let victim: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "edge-sse-replace-"));
    file = join(folder, "file");
    victim = join(folder, "victim");
    writeFileSync(victim, "precious");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const writers = {
    replaceFile: (content: string) => replaceFile(file, content),
    writeIfChanged: (content: string) => writeIfChanged(file, content),
  };

  describe.each(Object.entries(writers))("by %s", (_, write) => {
    it("replaces a link that was planted in its place", async () => {
      symlinkSync(victim, file);
      await write("new");
      expect(readFileSync(victim, "utf8")).toBe("precious");
      expect(lstatSync(file).isFile()).toBe(true);
      expect(readFileSync(file, "utf8")).toBe("new");
    });

    it("does not pass through a name that could be guessed", async () => {
      for (const ending of ["next", "new", "tmp"]) {
        symlinkSync(victim, `${file}.${process.pid}.${ending}`);
      }
      await write("new");
      expect(readFileSync(victim, "utf8")).toBe("precious");
      expect(readFileSync(file, "utf8")).toBe("new");
    });

    it("leaves nothing else", async () => {
      await write("new");
      expect(readdirSync(folder).toSorted()).toEqual(["file", "victim"]);
    });
  });

  it("leaves nothing when it cannot be written", () => {
    expect(() => replaceFile(folder, "new")).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
    expect(readdirSync(folder)).toEqual(["victim"]);
  });
});
