import { env } from "cloudflare:workers";
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it, vi } from "vitest";

import { DirectoryLink } from "../../src/edge/directory-link.ts";
import { unwrap } from "../../src/service/answer.ts";
import { directoryPort } from "../../src/edge/host.ts";
import type { DirectoryRpc } from "../../src/edge/objects.ts";
import type { DirectoryPort } from "../../src/service/host.ts";
import { hubOf, hubPortOf, newChannel, openStream, publish, publishRequest, send, tick } from "./service.ts";

const MINUTE = 60_000;

function directoryObject(): DurableObjectStub<DirectoryRpc> {
  return env.DIRECTORY.get(env.DIRECTORY.idFromName("directory"));
}

function theDirectory(): DirectoryPort {
  return directoryPort(directoryObject);
}

function operate(action: string): Promise<Response> {
  return send(`/api/admin/${action}`, { method: "POST", headers: { Authorization: "Bearer admin" } });
}

async function streamStatus(channel: string): Promise<number> {
  const response = await send(`/api/events?channel=${channel}`);
  await response.body?.cancel();
  return response.status;
}

async function isKnown(channel: string): Promise<boolean> {
  return (await theDirectory().look(channel)).isKnown;
}

afterEach(async () => {
  vi.useRealTimers();
  await operate("resume");
});

describe("a channel", () => {
  it("is in the directory once a publisher or a client uses it, and not after it was only read", async () => {
    const [published, streamed, looked] = [newChannel(), newChannel(), newChannel()];
    await publish(published, tick());
    await (await openStream(streamed)).leave();
    for (const path of ["/health", "/api/history", "/metrics"]) {
      expect((await send(`${path}?channel=${looked}`)).status).toBe(200);
    }
    expect(await Promise.all([published, streamed, looked].map(isKnown))).toEqual([true, true, false]);
  });

  it("that was never used answers like one without events", async () => {
    const [unused, empty] = [newChannel(), newChannel()];
    await (await openStream(empty)).leave();
    for (const query of ["", "&after=0", "&after=7", "&after=x", "&since=10m", "&after=0&log=of-another"]) {
      const answers = [unused, empty].map(async (channel) =>
        (await send(`/api/history?channel=${channel}${query}`)).json<Record<string, unknown>>(),
      );
      const [ofUnused, ofEmpty] = await Promise.all(answers);
      expect(ofUnused).toEqual(ofEmpty);
      expect(ofUnused).toMatchObject({ events: [], next: "0", more: false, oldest_id: null, latest_id: "0" });
    }
    const { clients } = await (
      await send(`/api/admin/clients?channel=${unused}`, { headers: { Authorization: "Bearer admin" } })
    ).json<{ clients: unknown[] }>();
    expect(clients).toEqual([]);
    const kicked = await send(`/api/admin/clients/nobody?channel=${unused}`, {
      method: "DELETE",
      headers: { Authorization: "Bearer admin" },
    });
    expect(await kicked.json()).toMatchObject({ status: 404, code: "unknown_client" });
    expect(await isKnown(unused)).toBe(false);
  });

  it("has clients for the directory from its first client on until an alarm finds none", async () => {
    const channel = newChannel();
    const stream = await openStream(channel);
    expect(await theDirectory().occupied()).toContain(channel);
    await runDurableObjectAlarm(hubOf(channel));
    expect(await theDirectory().occupied()).toContain(channel);
    await stream.leave();
    expect((await hubPortOf(channel).health()).activeConnections).toBe(0);
    await runDurableObjectAlarm(hubOf(channel));
    expect(await theDirectory().occupied()).not.toContain(channel);
    const again = await openStream(channel);
    expect(await theDirectory().occupied()).toContain(channel);
    await again.leave();
  });

  it("that was never published to leaves nothing behind when it is forgotten, and starts over with a new log", async () => {
    const channel = newChannel();
    const before = await openStream(channel);
    await before.leave();
    expect(unwrap(await hubOf(channel).forget())).toBe("forgotten");
    await runInDurableObject(hubOf(channel), async (_hub, { storage }) => {
      const tables = storage.sql.exec("SELECT name FROM sqlite_master").toArray();
      expect([tables, [...storage.kv.list()], await storage.getAlarm()]).toEqual([[], [], null]);
    });
    expect(await publish(channel, tick())).toMatchObject({ events: [{ id: "1" }] });
    const after = await openStream(channel);
    expect(after.dataOf("connected")["log"]).not.toBe(before.dataOf("connected")["log"]);
    expect(unwrap(await hubOf(channel).forget())).toBe("in_use");
    await after.leave();
    expect(unwrap(await hubOf(channel).forget())).toBe("published");
  });
});

describe("a drain of all channels", () => {
  it("ends the streams of channels with clients, wakes no other, and refuses the clients of all until a resume", async () => {
    const [occupied, asleep, awake, unused] = [newChannel(), newChannel(), newChannel(), newChannel()];
    const stream = await openStream(occupied);
    for (const channel of [asleep, awake]) {
      await publish(channel, tick());
    }
    await evictDurableObject(hubOf(asleep));
    expect((await operate("drain?for_seconds=60")).status).toBe(200);
    expect((await stream.untilEnd()).dataOf("close")).toMatchObject({ reason: "drain" });
    await expect(evictDurableObject(hubOf(asleep))).rejects.toThrow("not currently running");
    for (const channel of [occupied, asleep, awake, unused]) {
      const health = await (await send(`/health?channel=${channel}`)).json();
      expect(health).toMatchObject({ status: "draining" });
      expect(await streamStatus(channel)).toBe(503);
    }
    expect(await isKnown(unused)).toBe(false);
    await publish(awake, tick());
    await publish(unused, tick());
    await operate("resume");
    for (const channel of [occupied, asleep, awake, unused]) {
      expect(await streamStatus(channel)).toBe(200);
    }
  });

  it("reaches a channel that a publisher wakes during the drain, and so does a resume", async () => {
    const channel = newChannel();
    await operate("drain?for_seconds=60");
    await publish(channel, tick());
    expect(await streamStatus(channel)).toBe(503);
    await operate("resume");
    expect(await streamStatus(channel)).toBe(200);
  });

  it("does not come back to a channel that was resumed alone, also after an eviction", async () => {
    const [resumed, other] = [newChannel(), newChannel()];
    for (const channel of [resumed, other]) {
      await publish(channel, tick());
    }
    await operate("drain?for_seconds=60");
    expect(await streamStatus(resumed)).toBe(503);
    await operate(`resume?channel=${resumed}`);
    expect(await streamStatus(resumed)).toBe(200);
    await evictDurableObject(hubOf(resumed));
    expect([await streamStatus(resumed), await streamStatus(other)]).toEqual([200, 503]);
  });

  it("whose time is over is not in force, and leaves nothing in the storage of a new channel", async () => {
    await operate("drain?for_seconds=1");
    vi.useFakeTimers({ now: Date.now() + 2_000, toFake: ["Date"] });
    const channel = newChannel();
    await (await openStream(channel)).leave();
    expect((await hubPortOf(channel).health()).status).toBe("healthy");
    const keys = await runInDurableObject(
      hubOf(channel),
      (_hub, { storage }) => [...storage.kv.list()].length,
    );
    expect(keys).toBe(0);
  });
});

describe("a stop", () => {
  it("reaches new and woken channels: they accept neither streams nor publishes", async () => {
    const [known, other] = [newChannel(), newChannel()];
    await publish(known, tick());
    await evictDurableObject(hubOf(known));
    await theDirectory().stop();
    try {
      for (const channel of [known, other]) {
        expect(await streamStatus(channel)).toBe(503);
        const refused = await send(`/api/publish?channel=${channel}`, publishRequest(tick()));
        expect(await refused.json()).toMatchObject({ status: 503, code: "shutting_down" });
      }
    } finally {
      await runInDurableObject(directoryObject(), (_directory, { storage }) => storage.kv.delete("stopping"));
    }
  });
});

/** The link of a hub to a directory that cannot be reached. */
function linkOf(exists: boolean): DirectoryLink {
  return new DirectoryLink("a", {
    directory: () => {
      throw new Error("unreachable");
    },
    logger: () => {},
    exists: () => exists,
    heed: async () => {},
  });
}

describe("without the directory", () => {
  it("an existing channel goes on", async () => {
    const link = linkOf(true);
    await link.enter(null);
    await link.occupy(null);
    expect(await link.vacate()).toBe(false);
    expect(await link.drainUntil()).toBeNull();
  });

  it("a new channel is not created", async () => {
    await expect(linkOf(false).enter(null)).rejects.toMatchObject({ code: "hub_unreachable" });
    await expect(linkOf(false).occupy(null)).rejects.toMatchObject({ code: "hub_unreachable" });
  });
});

describe("a channel that is forgotten by the directory's alarm", () => {
  it("makes room, and starts over with the next client", async () => {
    const channel = newChannel();
    await (await openStream(channel)).leave();
    await runDurableObjectAlarm(hubOf(channel));
    vi.useFakeTimers({ now: Date.now() + 11 * MINUTE, toFake: ["Date"] });
    await runDurableObjectAlarm(directoryObject());
    expect(await isKnown(channel)).toBe(false);
    await (await openStream(channel)).leave();
    expect(await isKnown(channel)).toBe(true);
  });
});
