import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { createParser, type EventSourceMessage } from "eventsource-parser";
import { convertV4MiniflareOptions, Miniflare, type Json } from "miniflare";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { toBindings, type ConfigBindings } from "../../src/config/bindings.ts";
import { configSchema } from "../../src/config/schema.ts";
import { isExcepted } from "../support/host.ts";

const project = join(import.meta.dirname, "../..");

/** Values as the JSON they are compiled to: without the members that are undefined. */
function plain(bindings: ConfigBindings): Record<string, Json> {
  return JSON.parse(JSON.stringify(bindings)) as Record<string, Json>;
}

/** The bundle that `wrangler deploy` would upload, on another host than ours: what runs here runs there. */
describe.skipIf(isExcepted("the Worker under miniflare"))("The bundle of wrangler", () => {
  let folder: string;
  let said: string;
  let miniflare: Miniflare;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "edge-sse-bundle-"));
    const wrangler = ["node_modules/wrangler/bin/wrangler.js", "deploy", "--dry-run", "--outdir", folder];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, wrangler, {
      cwd: project,
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "1", NO_COLOR: "1" },
    });
    said = stdout + stderr;
    const options = {
      modules: true,
      modulesRoot: folder,
      scriptPath: join(folder, "index.js"),
      compatibilityDate: "2026-10-23",
      compatibilityFlags: ["enable_request_signal"],
      durableObjects: {
        HUBS: { className: "HubObject", useSQLite: true },
        DIRECTORY: { className: "DirectoryObject", useSQLite: true },
        TICKETS: { className: "TicketsObject", useSQLite: true },
      },
      bindings: { ...plain(toBindings(configSchema.parse({}))), PUBLISH_TOKEN: "token" },
      cf: false,
    };
    miniflare = new Miniflare(convertV4MiniflareOptions(options));
    await miniflare.ready;
  }, 60_000);

  afterAll(async () => {
    await miniflare.dispose();
    await rm(folder, { recursive: true, force: true });
  });

  it("has every value of the committed configuration, and no compiler", async () => {
    expect(said).toMatch(/env\.SSE \(\{"heartbeat_interval_seconds":\d+/);
    expect(said).toMatch(/env\.CHANNELS \(\{"allowed":\[/);
    expect(said).toMatch(/env\.HISTORY \(\{"max_events":\d+/);
    expect(said).toMatch(/env\.LIMITS \(\{"clients_per_object":\d+,/);
    expect(said).toMatch(/env\.AUTH \(\{"publish":\["token"\]/);
    expect(said).toMatch(/env\.CORS \(\{"allowed_origins":\[\]\}\)/);
    expect(said).toMatch(/env\.REQUEST_RATE \(\d+ requests\/60s\)/);
    expect(said).toMatch(/env\.LOGGING \(\{"level":"\w+"\}\)/);
    const bundle = await readFile(join(folder, "index.js"), "utf8");
    expect(bundle).not.toContain("node_modules/zod");
    expect(bundle).not.toContain("node_modules/yaml");
  });

  it("streams published events", async () => {
    const stop = new AbortController();
    const url = await miniflare.ready;
    const stream = await fetch(new URL("/api/events", url), { signal: stop.signal });
    const received: EventSourceMessage[] = [];
    const parser = createParser({ onEvent: (event) => received.push(event) });
    const decoder = new TextDecoder();

    const publishing = fetch(new URL("/api/publish", url), {
      method: "POST",
      headers: { Authorization: "Bearer token", "Content-Type": "application/json" },
      body: '{"type":"session_ended","data":{"agent_id":1}}',
    });
    for await (const bytes of stream.body ?? []) {
      parser.feed(decoder.decode(bytes, { stream: true }));
      if (received.some((event) => event.event === "session_ended")) {
        break;
      }
    }
    stop.abort();

    expect(await (await publishing).json()).toEqual({
      events: [{ id: "1", type: "session_ended", duplicate: false }],
    });
    expect(received.map(({ event, id }) => [event, id])).toEqual([
      ["connected", "0"],
      ["session_ended", "1"],
    ]);
  });
});
