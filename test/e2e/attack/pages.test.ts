import { globSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { startService, type Service } from "../../support/service.ts";

const publicFolder = join(import.meta.dirname, "../../../public");

const CONFIGURATIONS: [name: string, config: object][] = [
  ["the shipped configuration", {}],
  ["a wide configuration", { channels: { allowed: ["*"] }, cors: { allowed_origins: ["https://app.example.com"] } }],
];

/** Every spelling of the path of a page that a server may take for it. */
function pathsOf(file: string): string[] {
  const page = file.replace(/\.html$/, "");
  const folder = page.replace(/index$/, "");
  const encoded = `%${file.charCodeAt(0).toString(16)}${file.slice(1)}`;
  return [file, page, `${page}/`, folder, encoded, `${file}?x=1`, `.//${file}`, `x/../${file}`, file.replace("/", "%2f")].map(
    (path) => `/${path}`,
  );
}

describe.each(CONFIGURATIONS)("With %s", (_name, config) => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ config });
  });

  afterAll(() => service.stop());

  it.each(globSync("**/*.html", { cwd: publicFolder }).flatMap(pathsOf))(
    "no page is served without its policy, whatever its path: %s",
    async (path) => {
      for (const method of ["GET", "HEAD"]) {
        const answer = await service.raw(path, { method, headers: { Connection: "close" } });
        answer.reset();
        const type = answer.headers["content-type"] ?? "";
        if (type.startsWith("text/html")) {
          const policy = answer.headers["content-security-policy"] ?? "";
          expect(policy).toContain("default-src 'none'");
          expect(policy).toContain("frame-ancestors 'none'");
          expect(policy).not.toContain(",");
          expect(answer.headers["x-content-type-options"]).toBe("nosniff");
        } else {
          expect(answer.status).toBeGreaterThanOrEqual(300);
        }
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

  it("nothing that the service itself answers is a page", async () => {
    const paths = ["/nothing", "/api/events?types=<script>", "/api/history?<b>=1", "/health?channel=<b>", "/<script>"];
    for (const path of paths) {
      const answer = await service.fetch(path);
      await answer.body?.cancel();
      expect(answer.headers.get("content-type") ?? "").not.toContain("html");
      expect(answer.headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});
