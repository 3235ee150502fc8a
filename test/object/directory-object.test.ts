import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";

import { unwrap } from "../../src/service/answer.ts";
import { DIRECTORY_MIGRATIONS } from "../../src/sql/directory-migrations.ts";
import { DirectoryObject } from "../../src/edge/directory-object.ts";
import { migrate } from "../../src/sql/migrations.ts";
import { objectSql } from "../../src/edge/object-sql.ts";
import type { DirectoryRpc } from "../../src/edge/objects.ts";
import type { Entrant } from "../../src/service/host.ts";
import type { Standing } from "../../src/sql/directory.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;

const ANYBODY: Entrant = { role: "client", key: null };
const PUBLISHER: Entrant = { role: "publisher", key: null };

type Directory = DurableObjectStub<DirectoryRpc>;

/** A directory of its own, beside the one of the service. */
function newDirectory(): Directory {
  return env.DIRECTORY.get(env.DIRECTORY.newUniqueId());
}

async function enter(directory: Directory, channel: string, entrant = ANYBODY): Promise<Standing> {
  return unwrap(await directory.enter(channel, entrant));
}

async function occupy(
  directory: Directory,
  channel: string,
  address: string | null = null,
): Promise<Standing> {
  return unwrap(await directory.occupy(channel, address));
}

/** Channels that only clients use. */
async function fill(directory: Directory, count: number): Promise<void> {
  const insert = `
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
    INSERT INTO channels (name, is_published, is_occupied, used_at) SELECT 'filled-' || n, 0, 1, 0 FROM numbers`;
  await runInDurableObject(directory, (_, { storage }) => {
    storage.sql.exec(insert, count);
  });
}

function setTime(now: number): void {
  vi.useFakeTimers({ now, toFake: ["Date"] });
}

afterEach(() => {
  vi.useRealTimers();
});

describe("the directory", () => {
  it("knows a used channel, and writes nothing when it is asked about another", async () => {
    const directory = newDirectory();
    await enter(directory, "a");
    expect(unwrap(await directory.look("a"))).toMatchObject({ isKnown: true });
    expect(unwrap(await directory.look("b"))).toMatchObject({ isKnown: false });
    expect(unwrap(await directory.active(10))).toEqual({ channels: ["a"], total: 1 });
  });

  it("lists the channels that have clients, page by page, in the order of their names", async () => {
    const directory = newDirectory();
    for (const channel of ["b", "a", "d", "c", "a"]) {
      await occupy(directory, channel);
    }
    await enter(directory, "published", PUBLISHER);
    unwrap(await directory.vacate("d"));
    expect(unwrap(await directory.occupied())).toEqual(["a", "b", "c"]);
    expect(unwrap(await directory.occupied("a"))).toEqual(["b", "c"]);
    expect(unwrap(await directory.occupied("", 2))).toEqual(["a", "b"]);
  });

  it("lists the channels with clients first, then the most recently used ones, with the total number", async () => {
    const directory = newDirectory();
    const now = Date.now();
    for (const [index, channel] of ["old", "occupied", "new"].entries()) {
      setTime(now + index * MINUTE);
      await enter(directory, channel, PUBLISHER);
    }
    await occupy(directory, "occupied");
    expect(unwrap(await directory.active(2))).toEqual({ channels: ["occupied", "new"], total: 3 });
  });

  it("announces a stop to every channel, refuses new ones, and lists the channels with clients", async () => {
    const directory = newDirectory();
    await occupy(directory, "a");
    await enter(directory, "b", PUBLISHER);
    expect(unwrap(await directory.stop())).toEqual(["a"]);
    expect(await enter(directory, "b", PUBLISHER)).toMatchObject({ isStopping: true });
    expect(await occupy(directory, "a")).toMatchObject({ isStopping: true });
    await expect(enter(directory, "c", PUBLISHER)).rejects.toMatchObject({ code: "shutting_down" });
  });

  it("takes over the channels and the drain of an older version", async () => {
    const directory = newDirectory();
    const until = Date.now() + HOUR;
    await runInDurableObject(directory, async (_, state) => {
      const { sql, kv } = state.storage;
      for (const table of ["channels", "drains", "creations", "migrations"]) {
        sql.exec(`DROP TABLE ${table}`);
      }
      migrate(objectSql(state.storage), DIRECTORY_MIGRATIONS.slice(0, 1));
      sql.exec("INSERT INTO channels (name, launch_id) VALUES ('old', ''), ('older', '')");
      kv.put("drain", { value: until, launchId: "" });
      const woken = new DirectoryObject(state, env);
      expect(unwrap(await woken.look("old"))).toMatchObject({ isKnown: true, drainUntil: until });
      expect(unwrap(await woken.occupied())).toEqual(["old", "older"]);
      expect(unwrap(await woken.drained())).toEqual(["old", "older"]);
      unwrap(await woken.resumeAll());
      expect(unwrap(await woken.look("old"))).toMatchObject({ drainUntil: null });
    });
  });
});

describe("a drain of all channels", () => {
  const until = Date.now() + HOUR;

  it("is told to the hub of the next client, and refuses new channels except those of publishers", async () => {
    const directory = newDirectory();
    await enter(directory, "a", PUBLISHER);
    unwrap(await directory.drainAll(until));
    expect(await occupy(directory, "a")).toMatchObject({ drainUntil: until });
    await expect(enter(directory, "b")).rejects.toMatchObject({ code: "draining" });
    await enter(directory, "c", PUBLISHER);
    expect(unwrap(await directory.look("d"))).toMatchObject({ isKnown: false, drainUntil: until });
  });

  it("lists exactly the channels that were told of it, for a resume", async () => {
    const directory = newDirectory();
    await occupy(directory, "told");
    for (const channel of ["asleep", "woken"]) {
      await enter(directory, channel, PUBLISHER);
    }
    unwrap(await directory.drainAll(until));
    await occupy(directory, "woken");
    const epoch = unwrap(await directory.resumeAll());
    expect(unwrap(await directory.drained())).toEqual(["told", "woken"]);
    unwrap(await directory.resumed("told", epoch));
    await evictDurableObject(directory);
    expect(unwrap(await directory.drained())).toEqual(["woken"]);
    expect(await occupy(directory, "woken")).toMatchObject({ drainUntil: null });
  });

  it("does not apply to a channel that was resumed alone, but the next drain does", async () => {
    const directory = newDirectory();
    await occupy(directory, "a");
    unwrap(await directory.drainAll(until));
    unwrap(await directory.resume("a"));
    await evictDurableObject(directory);
    expect(await occupy(directory, "a")).toMatchObject({ drainUntil: null });
    expect(unwrap(await directory.look("b"))).toMatchObject({ drainUntil: until });
    unwrap(await directory.drainAll(until + 1));
    expect(await occupy(directory, "a")).toMatchObject({ drainUntil: until + 1 });
  });

  it("leaves a drain of one channel alone until a resume of all", async () => {
    const directory = newDirectory();
    unwrap(await directory.drain("a", until));
    expect([unwrap(await directory.look("a")), unwrap(await directory.look("b"))]).toMatchObject([
      { drainUntil: until, isKnown: false },
      { drainUntil: null, isKnown: false },
    ]);
    unwrap(await directory.resumeAll());
    expect(unwrap(await directory.look("a"))).toMatchObject({ drainUntil: null });
    expect(unwrap(await directory.drained())).toEqual([]);
  });

  it("ends when its time is over", async () => {
    const directory = newDirectory();
    await directory.drainAll(Date.now() + MINUTE);
    setTime(Date.now() + 2 * MINUTE);
    expect(await enter(directory, "a")).toMatchObject({ drainUntil: null });
  });
});

describe("new channels", () => {
  it("are limited to 20 in an hour for each address, which can still use existing channels", async () => {
    const directory = newDirectory();
    const now = Date.now();
    setTime(now);
    const client: Entrant = { role: "client", key: "198.51.100.1" };
    for (let count = 0; count < 20; count++) {
      await enter(directory, `mine-${count}`, client);
    }
    await evictDurableObject(directory);
    setTime(now + 15 * MINUTE);
    await expect(enter(directory, "one-more", client)).rejects.toMatchObject({
      code: "too_many_channels",
      retryAfterSeconds: 45 * 60,
    });
    await enter(directory, "mine-7", client);
    await enter(directory, "of-another", { ...client, key: "198.51.100.2" });
    expect(unwrap(await directory.look("one-more"))).toMatchObject({ isKnown: false });
    setTime(now + HOUR);
    await enter(directory, "one-more", client);
  });

  it("that were never published to are limited to 1,000 in all, which does not limit publishers", async () => {
    const directory = newDirectory();
    await fill(directory, 999);
    await occupy(directory, "the-last");
    await expect(occupy(directory, "one-more")).rejects.toMatchObject({ code: "channels_full" });
    await enter(directory, "published", PUBLISHER);
    await enter(directory, "filled-1", PUBLISHER);
    await occupy(directory, "one-more");
  });

  it("are counted for the token that publishes to them first", async () => {
    const directory = newDirectory();
    const publisher: Entrant = { role: "publisher", key: "PUBLISH_TOKEN 0" };
    await enter(directory, "a", publisher);
    await enter(directory, "a", publisher);
    await runInDurableObject(directory, (_, { storage }) => {
      const [row] = storage.sql.exec("SELECT key, uses FROM creations").toArray();
      expect(row).toEqual({ key: "publisher PUBLISH_TOKEN 0", uses: 1 });
      storage.sql.exec("UPDATE creations SET uses = 10000");
    });
    await enter(directory, "a", publisher);
    await expect(enter(directory, "b", publisher)).rejects.toMatchObject({ code: "too_many_channels" });
  });

  it("are counted for 10,000 keys, and a new key replaces the oldest one", async () => {
    const directory = newDirectory();
    const insert = `
      WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 10000)
      INSERT INTO creations (key, started_at, uses) SELECT 'client ' || n, ? + n, 1 FROM numbers`;
    await runInDurableObject(
      directory,
      (_, { storage }) => void storage.sql.exec(insert, Date.now() - MINUTE),
    );
    await enter(directory, "a", { role: "client", key: "new" });
    const keys = await runInDurableObject(directory, (_, { storage }) =>
      storage.sql
        .exec(
          "SELECT count(*) AS count, min(started_at) AS oldest, sum(key = 'client 1') AS first FROM creations",
        )
        .one(),
    );
    expect(keys).toMatchObject({ count: 10_000, first: 0 });
  });
});

describe("a channel that was never published to", () => {
  it("is forgotten 10 minutes after its last client and not before, unlike a published one", async () => {
    const directory = newDirectory();
    const now = Date.now();
    setTime(now);
    const [left, stays, published] = ["left", "stays", "published"].map(
      (name) => `${name}-${crypto.randomUUID()}`,
    );
    for (const channel of [left, stays, published] as string[]) {
      await occupy(directory, channel);
    }
    await enter(directory, published ?? "", PUBLISHER);
    for (const channel of [left, published] as string[]) {
      unwrap(await directory.vacate(channel));
    }
    setTime(now + 9 * MINUTE);
    await runDurableObjectAlarm(directory);
    expect(unwrap(await directory.look(left ?? ""))).toMatchObject({ isKnown: true });
    setTime(now + 10 * MINUTE);
    await runDurableObjectAlarm(directory);
    const known = await Promise.all(
      [left, stays, published].map(async (channel) => unwrap(await directory.look(channel ?? ""))),
    );
    expect(known.map(({ isKnown }) => isKnown)).toEqual([false, true, true]);
    expect(await runDurableObjectAlarm(directory)).toBe(false);
  });
});
