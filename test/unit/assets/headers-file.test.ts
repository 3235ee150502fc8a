import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { parseHeadersFile } from "../../../src/assets/headers-file.ts";

function headersOf(file: string, path: string): Record<string, string> {
  const headers = new Headers({ "Cache-Control": "public" });
  parseHeadersFile(file)(path, headers);
  return Object.fromEntries(headers);
}

describe("_headers", () => {
  it("adds the headers of every rule that matches", () => {
    const file = "# all\n/*\n  X-Frame-Options: DENY\n\n/a.html\r\n\tX-A: b: c\n/other\n  X-Other: 1\n";
    expect(headersOf(file, "/a.html")).toEqual({
      "cache-control": "public",
      "x-frame-options": "DENY",
      "x-a": "b: c",
    });
  });

  it("replaces the server's own header, and joins the values of several rules", () => {
    const file = "/*\n  Cache-Control: no-cache\n/a\n  Cache-Control: no-store\n";
    expect(headersOf(file, "/a")).toEqual({ "cache-control": "no-cache, no-store" });
  });

  it("takes a header away", () => {
    expect(headersOf("/*\n  X-A: 1\n/a\n  ! X-A\n", "/a")).toEqual({ "cache-control": "public" });
  });

  it("knows splats and placeholders", () => {
    const file = "/files/*\n  X-File: <:splat>\n/:room/:page\n  X-Page: :room :page\n";
    expect(headersOf(file, "/files/a.b")).toMatchObject({ "x-file": "<a.b>", "x-page": "files a.b" });
    expect(headersOf(file, "/files/a/b")).not.toHaveProperty("x-page");
  });

  it("matches whole paths, and a dot is a dot", () => {
    expect(headersOf("/a.js\n  X-A: 1\n", "/a.js/b")).not.toHaveProperty("x-a");
    expect(headersOf("/a.js\n  X-A: 1\n", "/aXjs")).not.toHaveProperty("x-a");
  });

  it("of another host say nothing here", () => {
    expect(headersOf("https://example.com/*\n  X-A: 1\n", "/")).not.toHaveProperty("x-a");
  });
});

describe("the _headers of the project", () => {
  const folder = join(import.meta.dirname, "../../../public");
  const file = readFileSync(join(folder, "_headers"), "utf8");
  const pages = globSync("**/*.html", { cwd: folder });

  it.each([...pages, ...pages.map((page) => page.replace(".html", "")), "", "a/b/c", "sse-client.js"])(
    "give every path one policy that lets in nothing from elsewhere and no frame: /%s",
    (path) => {
      const { "content-security-policy": policy = "" } = headersOf(file, `/${path}`);
      expect(policy).toMatch(/^default-src 'none';[^,]*; frame-ancestors 'none'/);
      expect(policy).not.toMatch(/https?:|\*|unsafe-eval|script-src [^;]*unsafe/);
    },
  );
});
