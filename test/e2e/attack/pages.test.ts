import { globSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unstable_startWorker as startWorker } from "wrangler";

import { startService, type Service } from "../../support/service.ts";

const project = join(import.meta.dirname, "../../..");

const pages = globSync("**/*.html", { cwd: join(project, "public") });

const CONFIGURATIONS: [name: string, config: Readonly<Record<string, unknown>>][] = [
  ["the shipped configuration", {}],
  [
    "a wide configuration",
    { channels: { allowed: ["*"] }, cors: { allowed_origins: ["https://app.example.com"] } },
  ],
];

/** One policy (two would be joined by a comma) that lets nothing in from elsewhere, and no frame. */
const SAFE = /^(?:no page|default-src 'none';[^,]*; frame-ancestors 'none'[^,]*)$/;

/** The headers that protect a page. */
function policyOf(headers: Headers): string {
  const isPage = headers.get("content-type")?.startsWith("text/html") === true;
  return isPage ? (headers.get("content-security-policy") ?? "no policy") : "no page";
}

/** Every spelling of the path of a page that a server may take for it. */
function pathsOf(file: string): string[] {
  const page = file.replace(/\.html$/, "");
  const folder = page.replace(/index$/, "");
  const encoded = `%${file.charCodeAt(0).toString(16)}${file.slice(1)}`;
  return [
    file,
    page,
    `${page}/`,
    folder,
    encoded,
    `${file}?x=1`,
    `.//${file}`,
    `x/../${file}`,
    file.replace("/", "%2f"),
  ].map((path) => `/${path}`);
}

describe.each(CONFIGURATIONS)("With %s", (_name, config) => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ config });
  });

  afterAll(() => service.stop());

  it.each(pages.flatMap(pathsOf))(
    "no page is served without its policy, for any spelling of its path: %s",
    async (path) => {
      for (const method of ["GET", "HEAD"]) {
        const answer = await service.raw(path, { method, headers: { Connection: "close" } });
        answer.reset();
        expect(policyOf(new Headers(answer.headers))).toMatch(SAFE);
      }
    },
  );

  it.each(["/", "/index", "/index.html", "/partials/sse", "/partials/sse.html"])(
    "and these are pages: %s",
    async (path) => {
      const answer = await service.fetch(path);
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toContain("text/html");
      expect(answer.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    },
  );

  it("no answer of the service itself is a page", async () => {
    const paths = [
      "/nothing",
      "/api/events?types=<script>",
      "/api/history?<b>=1",
      "/health?channel=<b>",
      "/<script>",
    ];
    for (const path of paths) {
      const answer = await service.fetch(path);
      await answer.body?.cancel();
      expect(answer.headers.get("content-type") ?? "").not.toContain("html");
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});

/** The server of static files that wrangler brings is the one of the edge. */
describe("On the edge", () => {
  let edge: Awaited<ReturnType<typeof startWorker>>;

  beforeAll(async () => {
    process.env["CLOUDFLARE_CF_FETCH_ENABLED"] = "false";
    edge = await startWorker({
      config: join(project, "wrangler.toml"),
      build: { custom: { command: "" } },
      dev: { server: { hostname: "127.0.0.1", port: 0 }, inspector: false, persist: false, logLevel: "none" },
    });
    await edge.ready;
  }, 60_000);

  afterAll(() => edge.dispose());

  it.each(pages.flatMap(pathsOf))(
    "no page is served without its policy either, for any spelling of its path: %s",
    async (path) => {
      const answer = await fetch(new URL(path, await edge.url));
      await answer.body?.cancel();
      expect(policyOf(answer.headers)).toMatch(SAFE);
    },
  );

  it.each(["/", "/index", "/index.html", "/partials/sse", "/partials/sse.html"])(
    "and these are pages: %s",
    async (path) => {
      const answer = await fetch(new URL(path, await edge.url));
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toContain("text/html");
      await answer.body?.cancel();
    },
  );
});
