import { mkdir, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { host } from "../support/host.ts";
import { openWorkplace, type Workplace } from "../support/started.ts";

let workplace: Workplace;
let url: string;

beforeAll(async () => {
  workplace = await openWorkplace();
  const folder = join(workplace.path, "public");
  await mkdir(join(folder, "partials"), { recursive: true });
  await writeFile(join(folder, "index.html"), "<h1>console</h1>");
  await writeFile(join(folder, "about.html"), "<h1>about</h1>");
  await writeFile(join(folder, "client.js"), "export {};");
  await writeFile(join(folder, "partials/ä b.html"), "<p>");
  await writeFile(join(folder, ".secret"), "hidden");
  await writeFile(join(folder, "_headers"), "/*\n  X-Frame-Options: DENY\n/*.js\n  X-Script: 1\n");
  url = await workplace.launch().ready();
});

afterAll(() => workplace.remove());

describe(`the command ${host.command} serves public/`, () => {
  it("with content types, index.html, pages without their extension, and _headers", async () => {
    const get = async (path: string) => {
      const answer = await fetch(url + path);
      return [answer.status, answer.headers.get("Content-Type"), answer.headers.get("X-Frame-Options")];
    };
    expect(await get("/")).toEqual([200, "text/html; charset=utf-8", "DENY"]);
    expect(await get("/about")).toEqual([200, "text/html; charset=utf-8", "DENY"]);
    expect(await get("/client.js")).toEqual([200, "text/javascript; charset=utf-8", "DENY"]);
    expect(await get("/partials/%C3%A4%20b.html")).toEqual([200, "text/html; charset=utf-8", "DENY"]);
    expect((await get("/nothing.js"))[0]).toBe(404);
    expect((await get("/partials/"))[0]).toBe(404);
    expect((await get("/partials"))[0]).toBe(404);
    expect((await fetch(`${url}/client.js`)).headers.get("X-Script")).toBe("1");
  });

  it("answers HEAD, and 304 to a client that has the file already", async () => {
    const head = await fetch(`${url}/client.js`, { method: "HEAD" });
    expect([head.status, head.headers.get("Content-Length"), await head.text()]).toEqual([200, "10", ""]);
    const etag = head.headers.get("ETag") ?? "";
    expect((await fetch(`${url}/client.js`, { headers: { "If-None-Match": etag } })).status).toBe(304);
  });

  it.each([
    "/../package.json",
    "/%2e%2e/package.json",
    "/partials/..%2f..%2fpackage.json",
    "/..%5cpackage.json",
    "/partials/\\..\\..\\package.json",
    "//etc/passwd",
    "/client.js%00.html",
    "/.secret",
    "/%2esecret",
    "/_headers",
    "/%E0%A4",
  ])("serves no file outside the folder and no hidden file: %s", async (path) => {
    expect(await statusOf(path)).toBeGreaterThanOrEqual(400);
  });
});

/** The status of a path that `fetch` would tidy up before it sends it. */
function statusOf(path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on("error", reject)
      .end();
  });
}
