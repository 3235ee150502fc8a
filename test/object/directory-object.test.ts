import { env } from "cloudflare:workers";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";

import type { DirectoryObject } from "../../src/edge/directory-object.ts";
import { hubOf, newChannel, openStream, publish, publishRequest, send, tick } from "./service.ts";

/** A directory of its own, beside the one of the service. */
function newDirectory(): DurableObjectStub<DirectoryObject> {
  return env.DIRECTORY.get(env.DIRECTORY.newUniqueId());
}

function theDirectory(): DurableObjectStub<DirectoryObject> {
  return env.DIRECTORY.get(env.DIRECTORY.idFromName("directory"));
}

/** Everything on one page after another. */
async function listed(directory: DurableObjectStub<DirectoryObject>, limit: number): Promise<string[]> {
  const all: string[] = [];
  for (
    let page = await directory.list("", limit);
    page.length > 0;
    page = await directory.list(all.at(-1), limit)
  ) {
    expect(page.length).toBeLessThanOrEqual(limit);
    all.push(...page);
  }
  return all;
}

/** A time that has not come. */
const UNTIL = Date.now() + 3_600_000;

describe("the directory", () => {
  it("lists the channels that have entered, each once, in the order of their names", async () => {
    const directory = newDirectory();
    expect(await directory.list()).toEqual([]);
    for (const channel of ["b", "a", "c", "a"]) {
      await directory.enter(channel);
    }
    expect(await directory.list()).toEqual(["a", "b", "c"]);
    expect(await directory.list("a")).toEqual(["b", "c"]);
    expect(await directory.list("", 2)).toEqual(["a", "b"]);
  });

  it("comes to the end of many channels page by page", async () => {
    const directory = newDirectory();
    const names = Array.from({ length: 25 }, (_, index) => `channel-${String(index).padStart(2, "0")}`);
    await Promise.all(names.map((name) => directory.enter(name)));
    expect(await listed(directory, 10)).toEqual(names);
  });

  it("says who is new, and tells the new ones of a drain of all", async () => {
    const directory = newDirectory();
    expect(await directory.enter("a")).toEqual({ isNew: true, drainUntil: null, isStopping: false });
    await directory.drain(UNTIL);
    expect(await directory.enter("a")).toMatchObject({ isNew: false });
    expect(await directory.enter("b")).toEqual({ isNew: true, drainUntil: UNTIL, isStopping: false });
    await directory.drain(null);
    expect(await directory.enter("c")).toMatchObject({ isNew: true, drainUntil: null });
  });

  it("knows all of it after an eviction", async () => {
    const directory = newDirectory();
    await directory.enter("a");
    await directory.drain(UNTIL);
    await evictDurableObject(directory);
    expect(await directory.list()).toEqual(["a"]);
    expect(await directory.enter("b")).toMatchObject({ drainUntil: UNTIL });
  });

  it("tells everybody that the service is stopping, and who has to be stopped", async () => {
    const directory = newDirectory();
    await directory.enter("a");
    expect(await directory.stop()).toEqual(["a"]);
    expect(await directory.enter("a")).toMatchObject({ isStopping: true });
    expect(await directory.enter("b")).toMatchObject({ isStopping: true });
  });
});

describe("a channel", () => {
  afterEach(async () => {
    vi.useRealTimers();
    await send("/api/admin/resume", { method: "POST", headers: { Authorization: "Bearer admin" } });
  });

  it("is in the directory once it is used by a publisher or a client, and not by a look at it", async () => {
    const [published, streamed, looked] = [newChannel(), newChannel(), newChannel()];
    await publish(published, tick());
    await (await openStream(streamed)).leave();
    await send(`/health?channel=${looked}`);
    await send(`/api/history?channel=${looked}`);
    const channels = await listed(theDirectory(), 1_000);
    expect(channels).toContain(published);
    expect(channels).toContain(streamed);
    expect(channels).not.toContain(looked);
  });

  it("that is new while all are drained is drained too; publishing goes on", async () => {
    const [known, other] = [newChannel(), newChannel()];
    await publish(known, tick());
    const drained = await send("/api/admin/drain?for_seconds=60", {
      method: "POST",
      headers: { Authorization: "Bearer admin" },
    });
    expect(drained.status).toBe(200);
    for (const channel of [known, other]) {
      expect((await send(`/api/events?channel=${channel}`)).status).toBe(503);
      await publish(channel, tick());
    }
    await send("/api/admin/resume", { method: "POST", headers: { Authorization: "Bearer admin" } });
    for (const channel of [known, other]) {
      await (await openStream(channel)).leave();
    }
  });

  it("that is new after a drain of all has ended by its time is not drained, and has nothing of it in its storage", async () => {
    await send("/api/admin/drain?for_seconds=1", {
      method: "POST",
      headers: { Authorization: "Bearer admin" },
    });
    vi.useFakeTimers({ now: Date.now() + 2_000, toFake: ["Date"] });
    const channel = newChannel();
    await (await openStream(channel)).leave();
    expect((await hubOf(channel).health()).status).toBe("healthy");
    const keys = await runInDurableObject(
      hubOf(channel),
      (_hub, { storage }) => [...storage.kv.list()].length,
    );
    expect(keys).toBe(0);
  });

  it("that is new while the service is stopping, or is woken again, takes neither streams nor publishes", async () => {
    const [known, other] = [newChannel(), newChannel()];
    await publish(known, tick());
    await evictDurableObject(hubOf(known));
    await theDirectory().stop();
    try {
      for (const channel of [known, other]) {
        expect((await send(`/api/events?channel=${channel}`)).status).toBe(503);
        const refused = await send(`/api/publish?channel=${channel}`, publishRequest(tick()));
        expect(await refused.json()).toMatchObject({ status: 503, code: "shutting_down" });
      }
    } finally {
      await runInDurableObject(theDirectory(), (_directory, { storage }) => storage.kv.delete("stopping"));
    }
  });
});
