import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { describe, expect, it } from "vitest";

const DOCUMENTS = globSync(["*.md", "docs/**/*.md"]).toSorted();

/** Documents about the past: a path in them may have moved since. */
const PAST = /^(?:CHANGELOG\.md|docs\/decisions\/)/;

/** A path of the tree in code marks. */
const TREE_PATH = /`((?:src|test|docs|scripts|bench|public)\/[\w./-]*)`/g;

/** A link to something in the tree, and not to a page of the web. */
const LINK = /\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)/g;

/** The anchors of the headings, as GitHub makes them. */
function anchorsOf(document: string): readonly string[] {
  const headings = readFileSync(document, "utf8").matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

function brokenLinks(document: string): readonly string[] {
  const links = readFileSync(document, "utf8").matchAll(LINK);
  return [...links].flatMap(([, path = "", anchor]) => {
    const target = path === "" ? document : join(dirname(document), path);
    const isBroken = !existsSync(target) || (anchor !== undefined && !anchorsOf(target).includes(anchor));
    return isBroken ? [`${path}${anchor === undefined ? "" : `#${anchor}`}`] : [];
  });
}

function missingPaths(document: string): readonly string[] {
  const paths = readFileSync(document, "utf8").matchAll(TREE_PATH);
  return [...paths].map(([, path = ""]) => path).filter((path) => !existsSync(path));
}

describe("the documents", () => {
  it("are found, with their links and their paths", () => {
    expect(DOCUMENTS).toEqual(expect.arrayContaining(["CONTRIBUTING.md", "README.md", "docs/glossary.md"]));
    expect(readFileSync("README.md", "utf8").match(LINK)?.length).toBeGreaterThan(10);
    expect(readFileSync("CONTRIBUTING.md", "utf8").match(TREE_PATH)?.length).toBeGreaterThan(10);
  });

  it.each(DOCUMENTS)("have no broken link: %s", (document) => {
    expect(brokenLinks(document)).toEqual([]);
  });

  it.each(DOCUMENTS.filter((document) => !PAST.test(document)))(
    "name only paths that exist: %s",
    (document) => {
      expect(missingPaths(document)).toEqual([]);
    },
  );
});
