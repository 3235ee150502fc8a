import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { DatabaseSync } from "node:sqlite";

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { configSchema } from "../../../src/config/schema.ts";
import { Database } from "../../../src/deno/database.ts";
import { ProcessHost } from "../../../src/deno/host.ts";
import type { RelayPort } from "../../../src/relay/relay-port.ts";
import { createService } from "../../../src/service/router.ts";
import { SqlLog } from "../../../src/sql/sql-log.ts";

const SECOND = 1_000;

describe("a process that hosts channels", () => {
  let folder: string;
  let host: ProcessHost;
  let logged: Record<string, unknown>[];

  const start = ({
    history = {},
    launchId = crypto.randomUUID() as string,
    relay,
  }: { history?: object; launchId?: string; relay?: () => RelayPort } = {}): void => {
    host = new ProcessHost({
      config: configSchema.parse({ channels: { allowed: ["*"] }, history }),
      secrets: { PUBLISH_TOKEN: "publish", ADMIN_TOKEN: "admin" },
      launcherToken: "launcher",
      listenHost: "127.0.0.1",
      launchId,
      storageFolder: folder,
      relay,
      publicFolder: join(import.meta.dirname, "../../../public"),
    });
  };

  const send = (path: string, init: RequestInit = {}): Promise<Response> => {
    const request = new Request(`http://127.0.0.1${path}`, init);
    host.received(request, "127.0.0.1");
    return createService(host).fetch(request);
  };

  const publish = (channel: string, token = "publish"): Promise<Response> =>
    send(`/api/publish?channel=${channel}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: '{"type":"a","data":1}',
    });

  const idsOf = async (channel: string): Promise<string[]> => {
    const answer = (await (await send(`/api/history?channel=${channel}`)).json()) as {
      events: { id: string }[];
    };
    return answer.events.map(({ id }) => id);
  };

  const fileOf = (channel: string): string => join(folder, "channels", `${channel}.sqlite`);

  /** Whether this process has let go of the file of a channel: it is locked while its hub is open. */
  const isClosed = (channel: string): boolean => {
    try {
      new Database(fileOf(channel), () => {}).close();
      return true;
    } catch {
      return false;
    }
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "edge-sse-host-"));
    logged = [];
    vi.spyOn(console, "log").mockImplementation((line: string) => {
      logged.push(JSON.parse(line) as Record<string, unknown>);
    });
    vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] });
  });

  afterEach(() => {
    host.close();
    vi.useRealTimers();
    vi.restoreAllMocks();
    for (const each of [folder, `${folder}-killed`]) {
      rmSync(each, { recursive: true, force: true });
    }
  });

  it("keeps each channel in a file of its own, and finds it again after a restart", async () => {
    start();
    expect((await publish("a")).status).toBe(200);
    expect((await publish("b")).status).toBe(200);
    expect((await publish("a")).status).toBe(200);
    host.close();
    expect(readdirSync(join(folder, "channels")).toSorted()).toEqual(["a.sqlite", "b.sqlite"]);
    start();
    expect([await idsOf("a"), await idsOf("b")]).toEqual([["1", "2"], ["1"]]);
  });

  it("creates no file when an unused channel is only read", async () => {
    start();
    expect(await idsOf("unused")).toEqual([]);
    expect((await send("/health?channel=unused")).status).toBe(200);
    expect(readdirSync(join(folder, "channels"))).toEqual([]);
  });

  it("closes an idle channel, and opens it again when it is used", async () => {
    start();
    await publish("a");
    expect(isClosed("a")).toBe(false);
    await vi.advanceTimersByTimeAsync(13 * SECOND);
    expect(isClosed("a")).toBe(true);
    await publish("a");
    expect(await idsOf("a")).toEqual(["1", "2"]);
  });

  it("keeps only some idle channels open when many are used, and loses no event of the others", async () => {
    start();
    const names = Array.from({ length: 180 }, (_, n) => `c-${n}`);
    for (const name of names) {
      expect((await publish(name)).status).toBe(200);
    }
    expect(isClosed("c-179")).toBe(false);
    expect(names.filter(isClosed).length).toBeGreaterThan(40);
    for (const name of names) {
      expect(await idsOf(name)).toEqual(["1"]);
    }
  });

  it("keeps a channel open while it has a client, and closes it after the client has left", async () => {
    start();
    const stream = await send("/api/events?channel=a");
    const reader = stream.body?.getReader();
    await reader?.read();
    await vi.advanceTimersByTimeAsync(20 * SECOND);
    expect(isClosed("a")).toBe(false);
    await reader?.cancel();
    await vi.advanceTimersByTimeAsync(60 * SECOND);
    expect(isClosed("a")).toBe(true);
    expect(await host.directory.occupied()).toEqual([]);
  });

  it("trims a closed channel when its events are too old", async () => {
    start({ history: { max_age_seconds: 60 } });
    await publish("a");
    // The events get too old after 60 s, and a log over a bound is trimmed within 10 s.
    await vi.advanceTimersByTimeAsync(70 * SECOND);
    expect(logged.find(({ event }) => event === "log_trimmed")).toMatchObject({ channel: "a", events: 1 });
    await vi.advanceTimersByTimeAsync(30 * SECOND);
    expect(isClosed("a")).toBe(true);
  });

  it.each(["was stopped", "was killed"])(
    "trims what became too old since it %s as soon as it starts again",
    async (how) => {
      start({ history: { max_age_seconds: 60 } });
      await publish("a");
      await new Promise(setImmediate);
      const killed = `${folder}-killed`;
      cpSync(folder, killed, { recursive: true });
      host.close();
      if (how === "was killed") {
        rmSync(folder, { recursive: true });
        renameSync(killed, folder);
      }
      await vi.advanceTimersByTimeAsync(300 * SECOND);
      start({ history: { max_age_seconds: 60 } });
      await vi.advanceTimersByTimeAsync(1 * SECOND);
      expect(logged.find(({ event }) => event === "log_trimmed")).toMatchObject({ channel: "a", events: 1 });
    },
  );

  it("frees the seats of a process that has died as soon as the next one has registered", async () => {
    let life = "first";
    const relay = { report: async () => ({ life }) } as unknown as RelayPort;
    start({ relay: () => relay });
    const hub = host.hubs.of("a");
    const wish = { number: 1, hub: null, used: 0, wanted: 100, isFull: false, parent: null };
    const first = { ...wish, relay: "local/1", life, waiting: 100 };
    const feed = await hub.connect(
      {
        terms: {},
        form: "envelope",
        start: { lastEventId: null, logName: null, since: null },
        address: null,
        endsAt: null,
        relay: { name: "local/1", life },
      },
      "local",
    );
    expect(await hub.lease(first)).toMatchObject({ held: 100 });
    await host.hubs.verifyRelay("local/1");
    const second = { ...wish, relay: "local/2", life: "other", waiting: 60 };
    expect((await hub.health()).relays).toMatchObject({ count: 1 });
    await feed.body?.cancel();
    life = "next";
    await host.hubs.verifyRelay("local/1");
    expect((await hub.lease(second)).held).toBeGreaterThanOrEqual(60);
  });

  it("forgets a channel that was never published to, and deletes its file", async () => {
    start();
    const stream = await send("/api/events?channel=a");
    await stream.body?.cancel();
    expect(readdirSync(join(folder, "channels"))).toContain("a.sqlite");
    await vi.advanceTimersByTimeAsync(700 * SECOND);
    expect(readdirSync(join(folder, "channels"))).toEqual([]);
    expect(await host.directory.look("a")).toMatchObject({ isKnown: false });
  });

  it.each([
    ["is no database", (file: string) => writeFileSync(file, "text ".repeat(2_000))],
    ["cannot be opened", (file: string) => mkdirSync(file)],
  ])(
    "refuses a channel whose file %s, leaves the file unchanged, and serves the other channels",
    async (_, spoil) => {
      start();
      spoil(fileOf("bad"));
      const before = contentOf(fileOf("bad"));
      for (const answer of [await publish("bad"), await send("/api/events?channel=bad")]) {
        expect([answer.status, await answer.json()]).toMatchObject([503, { code: "hub_unreachable" }]);
      }
      expect(logged.some(({ event }) => event === "request_failed")).toBe(true);
      expect((await publish("good")).status).toBe(200);
      expect(await idsOf("good")).toEqual(["1"]);
      expect(contentOf(fileOf("bad"))).toEqual(before);
    },
  );

  it("reopens a channel whose file broke while it was open, and no request hangs", async () => {
    start();
    await publish("a");
    // The tables vanish under the open file, as after a fault of the disk: a commit fails, and so does the look after it.
    const breakLog = new Error("disk I/O error");
    vi.spyOn(SqlLog.prototype, "reload").mockImplementationOnce(() => {
      throw breakLog;
    });
    vi.spyOn(DatabaseSync.prototype, "exec").mockImplementation(function (this: DatabaseSync, sql: string) {
      if (sql === "COMMIT" && this.location()?.endsWith("a.sqlite")) {
        throw breakLog;
      }
      this.prepare(sql).run();
    });
    expect((await publish("a")).status).toBe(500);
    vi.mocked(DatabaseSync.prototype.exec).mockRestore();
    expect(logged.find(({ event }) => event === "channel_broken")).toMatchObject({ channel: "a" });
    expect((await publish("a")).status).toBe(200);
    expect(await idsOf("a")).toEqual(["1", "2"]);
  });

  it("counts no clients when it starts again after it was killed", async () => {
    start({ launchId: "first" });
    const stream = await send("/api/events?channel=a");
    expect(await host.directory.occupied()).toEqual(["a"]);
    const killed = `${folder}-killed`;
    await new Promise(setImmediate);
    cpSync(folder, killed, { recursive: true });
    await stream.body?.cancel();
    host.close();
    rmSync(folder, { recursive: true });
    renameSync(killed, folder);
    start({ launchId: "first" });
    expect(await host.directory.occupied()).toEqual([]);
  });

  it("keeps a drain when the launcher starts it again, and ends it with a new launch", async () => {
    start({ launchId: "first" });
    const drain = (): Promise<Response> =>
      send("/api/admin/drain", { method: "POST", headers: { Authorization: "Bearer admin" } });
    await publish("a");
    expect((await drain()).status).toBe(200);
    expect((await send("/api/events?channel=a")).status).toBe(503);
    host.close();
    start({ launchId: "first" });
    expect((await send("/api/events?channel=a")).status).toBe(503);
    host.close();
    start({ launchId: "second" });
    const stream = await send("/api/events?channel=a");
    expect(stream.status).toBe(200);
    await stream.body?.cancel();
  });
});

/** The text of a file, or the names in a folder. */
function contentOf(path: string): string | string[] {
  return statSync(path).isDirectory() ? readdirSync(path) : readFileSync(path, "utf8");
}
