import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { host, isExcepted } from "../support/host.ts";
import { stablePort } from "../support/port.ts";
import { descendants } from "../support/processes.ts";
import type { RawStream } from "../support/raw-stream.ts";
import { adminToken, makeDataDir, publishToken, startService, type Service } from "../support/service.ts";
import { inspect, isAlive } from "../support/started.ts";
import { until } from "../support/until.ts";

const WITHIN_A_SECOND = { timeoutMs: 1_000, everyMs: 10 };

/** The processes of a service by the name of their settings: `orderer`, `serving-1` and so on. */
function processesOf({ pid }: Service): Map<string, number> {
  const found = new Map<string, number>();
  for (const child of descendants(pid)) {
    const { command = "" } = inspect(child) ?? {};
    const name = /build\/(\w+(?:-\d+)?)\.json$/.exec(command.trim())?.[1];
    if (name !== undefined && !command.startsWith("/bin/sh")) {
      found.set(name, child);
    }
  }
  return found;
}

function pidOf(service: Service, name: string): number {
  const pid = processesOf(service).get(name);
  if (pid === undefined) {
    throw new Error(`There is no process ${name}`);
  }
  return pid;
}

/** Kills a process, and waits until another one has its place. */
async function replace(service: Service, name: string): Promise<void> {
  const killed = pidOf(service, name);
  const restarts = service.logs.filter(({ event }) => event === "process_restarted").length;
  process.kill(killed, "SIGKILL");
  await until(() => service.logs.filter(({ event }) => event === "process_restarted").length > restarts, {
    what: `another ${name}`,
    ...WITHIN_A_SECOND,
  });
  expect(pidOf(service, name)).not.toBe(killed);
}

/** Opens streams until each serving process has some of them. The kernel spreads the connections. */
const openMany = (service: Service, count = 40): Promise<RawStream[]> =>
  Promise.all(Array.from({ length: count }, () => service.stream()));

/** How many descriptors each serving process has: one for each connection. */
function descriptorsOf(service: Service): number[] {
  return [...processesOf(service)]
    .filter(([name]) => name.startsWith("serving"))
    .map(([, pid]) => readdirSync(`/proc/${pid}/fd`).length);
}

/** Asks over several connections, expects the same 200 each time, and returns its JSON. */
async function sameAnswerOf(ask: () => Promise<Response>): Promise<unknown> {
  const answers = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const answer = await ask();
      return `${answer.status} ${await answer.text()}`;
    }),
  );
  expect(new Set(answers).size).toBe(1);
  const [first = ""] = answers;
  expect(first).toMatch(/^200 /);
  return JSON.parse(first.slice(4));
}

const idsOf = (stream: RawStream): (string | undefined)[] =>
  stream.events.filter(({ type }) => type === "note").map(({ id }) => id);

describe.skipIf(isExcepted("several processes"))("several processes on one port", () => {
  let service: Service;

  beforeAll(async () => {
    service = await startService({ processes: 3, config: { channels: { allowed: ["*"] } } });
  });

  afterAll(() => service.stop());

  it("are an orderer and serving processes, each in a process group of its own", () => {
    const processes = processesOf(service);
    expect([...processes.keys()].toSorted()).toEqual(["orderer", "serving-1", "serving-2", "serving-3"]);
    for (const pid of processes.values()) {
      expect(inspect(pid)?.group).toBe(pid);
    }
  });

  it("may do no more than their part needs", () => {
    const commandOf = (name: string): string => inspect(pidOf(service, name))?.command ?? "";
    expect(commandOf("orderer")).toMatch(/--allow-net=127\.0\.0\.1 /);
    expect(commandOf("orderer")).not.toMatch(/PUBLISH_TOKEN|public|--unstable/);
    expect(commandOf("serving-2")).toContain(`--allow-net=127.0.0.1:${service.port},127.0.0.1 `);
    expect(commandOf("serving-2")).not.toMatch(/--allow-write|storage|SHUTDOWN_TOKEN/);
  });

  it("keep no secret in a file that a start writes", () => {
    const build = join(service.dataDir, "build");
    const files = readdirSync(build).filter((name) => name.endsWith(".json"));
    expect(files.toSorted()).toEqual(["orderer.json", "serving-1.json", "serving-2.json", "serving-3.json"]);
    for (const file of files) {
      const text = readFileSync(join(build, file), "utf8");
      expect(text).not.toMatch(new RegExp(`${publishToken}|${adminToken}`));
    }
  });

  it("deliver what is published through any of them to the clients of all, in one order", async () => {
    const before = descriptorsOf(service);
    const streams = await openMany(service);
    const after = descriptorsOf(service);
    expect(after.filter((count, at) => count > (before[at] ?? 0))).toHaveLength(3);
    await Promise.all(Array.from({ length: 40 }, (_, n) => service.publish({ type: "note", data: n })));
    const first = await streams[0]?.collect(40, { type: "note" });
    const order = first?.map(({ id }) => id);
    expect(order).toEqual(Array.from({ length: 40 }, (_, n) => String(n + 1)));
    for (const stream of streams) {
      await stream.collect(40, { type: "note" });
      expect(idsOf(stream)).toEqual(order);
    }
    const known = await service.health("default");
    expect(known.sse.active_connections).toBe(40);
    for (const stream of streams) {
      stream.end();
    }
    await until(async () => (await service.health("default")).sse.active_connections === 0, {
      what: "clients that have left to be forgotten",
    });
  });

  it("answer every other request through any of them alike", async () => {
    const stream = await service.stream({ channel: "a" });
    await service.publish({ type: "note", data: 'ä"\\' }, "a");
    expect(await sameAnswerOf(() => service.fetch("/api/history?channel=a"))).toMatchObject({
      events: [{ id: "1", data: 'ä"\\' }],
    });
    expect(await sameAnswerOf(() => service.admin("/health?channel=a"))).toMatchObject({
      sse: { active_connections: 1, last_event_id: "1" },
    });
    const clients = (await (await service.admin("/api/admin/clients?channel=a")).json()) as {
      clients: { id: string }[];
    };
    expect(clients.clients).toHaveLength(1);
    const metrics = await (await service.admin("/metrics")).text();
    expect(metrics).toContain('edge_sse_connections{channel="a"} 1');
    const kick = await service.admin(`/api/admin/clients/${clients.clients[0]?.id}?channel=a`, {
      method: "DELETE",
    });
    expect(kick.status).toBe(200);
    expect((await stream.nextEvent({ type: "close" })).data).toContain("kicked");
  });

  it("refuse a taken key and a drained channel as one process does", async () => {
    await service.publish({ type: "note", data: 1, key: "k" }, "b");
    const conflict = await service.post('{"type":"other","data":2,"key":"k"}', { query: "?channel=b" });
    expect(await conflict.json()).toMatchObject({ events: [{ id: "1", duplicate: true, conflict: true }] });
    expect((await service.admin("/api/admin/drain?channel=b", { method: "POST" })).status).toBe(200);
    const statuses = await Promise.all(
      Array.from({ length: 12 }, async () => (await service.fetch("/api/events?channel=b")).status),
    );
    expect(new Set(statuses)).toEqual(new Set([503]));
    expect((await service.admin("/api/admin/resume?channel=b", { method: "POST" })).status).toBe(200);
    const stream = await service.stream({ channel: "b" });
    expect(stream.status).toBe(200);
    stream.end();
  });

  it("take a publish of 1 MiB, and answer a history of the same size", async () => {
    const events = Array.from({ length: 16 }, () => ({ type: "note", data: '\\"'.repeat(15_000) }));
    await service.publish(events, "large");
    const history = (await (await service.fetch("/api/history?channel=large&limit=16")).json()) as {
      events: { data: string }[];
    };
    expect(history.events[0]?.data).toBe(events[0]?.data);
  });

  it("are shut down by nobody from outside", async () => {
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => service.admin("/api/admin/shutdown", { method: "POST" })),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 401));
  });
});

describe.skipIf(isExcepted("several processes"))("tickets of several processes", () => {
  it("are good once, whichever process they are brought to", async () => {
    const service = await startService({
      processes: 3,
      config: { auth: { subscribe: ["token"] } },
      env: { SUBSCRIBE_TOKEN: "subscribe-token" },
    });
    for (let n = 0; n < 6; n++) {
      const headers = { Authorization: "Bearer subscribe-token" };
      const created = await service.fetch("/api/tickets", { method: "POST", headers });
      const { ticket } = (await created.json()) as { ticket: string };
      const uses = await Promise.all(
        Array.from({ length: 6 }, () => service.raw(`/api/events?ticket=${ticket}`)),
      );
      expect(uses.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401, 401, 401]);
      uses.forEach((use) => use.reset());
    }
    await service.stop();
  });
});

describe.skipIf(isExcepted("several processes"))("a process that is killed", () => {
  let service: Service;

  beforeEach(async () => {
    service = await startService({ processes: 2 });
  });

  afterEach(() => service.stop());

  it("as a serving process is replaced within a second, and the clients of the other one notice nothing", async () => {
    const streams = await openMany(service);
    await service.publish({ type: "note", data: 1 });
    await replace(service, "serving-2");
    await until(() => streams.some(({ closed }) => closed), { what: "the end of some streams" });
    const left = streams.filter(({ closed }) => !closed);
    expect(left.length).toBeGreaterThan(0);
    expect(left.length).toBeLessThan(streams.length);
    await service.publish({ type: "note", data: 2 });
    for (const stream of left) {
      await stream.collect(2, { type: "note" });
      expect(idsOf(stream)).toEqual(["1", "2"]);
    }
    for (const stream of streams.filter(({ closed }) => closed)) {
      const again = await service.stream({}, { headers: { "Last-Event-ID": stream.lastEventId } });
      await until(() => idsOf(again).at(-1) === "2", { what: "the event that it has missed" });
    }
  });

  it("as the orderer is replaced within a second, and keeps every acknowledged event", async () => {
    const acknowledged: string[] = [];
    const refusals: unknown[] = [];
    const publish = async (n: number): Promise<void> => {
      const answer = await service.post(`{"type":"note","data":${n},"key":"k${n}"}`);
      const body = (await answer.json()) as { events: { id: string }[]; code?: string };
      if (answer.status === 200) {
        acknowledged.push(body.events[0]?.id ?? "");
      } else {
        refusals.push([answer.status, body.code]);
        await publish(n);
      }
    };
    await publish(0);
    const killing = replace(service, "orderer");
    for (let n = 1; n <= 40; n++) {
      await publish(n);
    }
    await killing;
    // Calls fail until the launcher has noticed the end of the orderer. Later calls wait for the next one.
    expect(refusals.length).toBeLessThan(20);
    expect(refusals).toEqual(refusals.map(() => [503, "hub_unreachable"]));
    const history = (await (await service.fetch("/api/history?limit=100")).json()) as {
      events: { id: string }[];
    };
    expect(history.events.map(({ id }) => id)).toEqual(acknowledged);
    const stream = await service.stream({}, { headers: { "Last-Event-ID": "40" } });
    expect((await stream.collect(1, { type: "note" })).map(({ id }) => id)).toEqual(["41"]);
  });

  it("as the orderer ends no stream, and everything that is published later arrives once and in order", async () => {
    const streams = await openMany(service);
    await service.publish({ type: "note", data: 1 });
    await Promise.all(streams.map((stream) => stream.collect(1, { type: "note" })));
    await replace(service, "orderer");
    await service.publish([
      { type: "note", data: 2 },
      { type: "note", data: 3 },
    ]);
    for (const stream of streams) {
      await stream.collect(3, { type: "note" });
      expect(idsOf(stream)).toEqual(["1", "2", "3"]);
      expect(stream.closed).toBe(false);
    }
    const late = await service.stream();
    await service.publish({ type: "note", data: 4 });
    expect((await late.collect(1, { type: "note" })).map(({ id }) => id)).toEqual(["4"]);
    expect((await service.health("default")).sse.active_connections).toBe(streams.length + 1);
  });

  it("again and again is replaced each time", async () => {
    for (const name of ["serving-1", "orderer", "serving-2", "orderer", "serving-1"]) {
      await replace(service, name);
      expect((await service.publish({ type: "note", data: name })).events).toHaveLength(1);
    }
    const stream = await service.stream({ last_event_id: "0" });
    await stream.collect(5, { type: "note" });
    expect(idsOf(stream)).toEqual(["1", "2", "3", "4", "5"]);
  });

  it("does not end the drain that was going on", async () => {
    await service.publish({ type: "note", data: 1 });
    expect((await service.admin("/api/admin/drain", { method: "POST" })).status).toBe(200);
    await replace(service, "orderer");
    expect((await service.fetch("/api/events")).status).toBe(503);
  });
});

describe.skipIf(isExcepted("several processes"))("the limit of a channel", () => {
  const LIMIT = 20;
  let service: Service;

  beforeEach(async () => {
    service = await startService({ processes: 3, config: { sse: { max_connections: LIMIT } } });
  });

  afterEach(() => service.stop());

  const connectMany = async (): Promise<RawStream[]> => {
    const answers = await Promise.all(Array.from({ length: 2 * LIMIT }, () => service.raw("/api/events")));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 503));
    refused.forEach((answer) => answer.reset());
    return answers.filter(({ status }) => status === 200);
  };

  it("is exact over all processes, however the connections are spread", async () => {
    const streams = await connectMany();
    expect(streams).toHaveLength(LIMIT);
    expect((await service.health("default")).sse).toMatchObject({
      status: "degraded",
      active_connections: LIMIT,
      max_connections: LIMIT,
    });
    for (const stream of streams.slice(0, 5)) {
      stream.end();
    }
    await until(async () => (await service.health("default")).sse.active_connections === LIMIT - 5, {
      what: "five clients to be gone",
    });
    expect(await connectMany()).toHaveLength(5);
  });

  it("gives the places of a process that was killed to others as soon as it is replaced", async () => {
    const streams = await connectMany();
    await replace(service, "serving-1");
    await until(() => streams.some(({ closed }) => closed), { what: "the end of some streams" });
    const lost = streams.filter(({ closed }) => closed).length;
    const again: RawStream[] = [];
    await until(
      async () => {
        again.push(...(await connectMany()));
        return again.length >= lost;
      },
      { what: () => `${lost} free places, found ${again.length}`, timeoutMs: 5_000, everyMs: 200 },
    );
    expect(again).toHaveLength(lost);
  });
});

describe.skipIf(isExcepted("several processes"))("several processes that are told to stop", () => {
  it.each(["SIGTERM", "SIGINT"] as const)("by %s tell all clients, and exit 0 within 5 s", async (signal) => {
    const service = await startService({ processes: 3, config: { channels: { allowed: ["*"] } } });
    const pids = [...processesOf(service).values()];
    expect(pids).toHaveLength(4);
    const streams = await Promise.all(
      Array.from({ length: 60 }, (_, n) => service.stream({ channel: `c-${n % 3}` })),
    );
    const start = performance.now();
    service.signal(signal);
    expect(await service.exited()).toBe(0);
    expect(performance.now() - start).toBeLessThan(5_000);
    for (const stream of streams) {
      await stream.untilClosed();
      expect(stream.complete).toBe(true);
      expect(stream.events.at(-1)).toMatchObject({ type: "close" });
      expect(stream.events.at(-1)?.data).toContain('"reason":"shutdown"');
    }
    expect(await service.logged("shutdown")).toMatchObject({ closed: 60, lingering: 0, channels: 3 });
    expect(await service.logged("shutdown_complete")).toMatchObject({ forced: false });
    expect(pids.filter(isAlive)).toEqual([]);
    await service.stop();
  });

  it.each(["orderer", "serving-1"])("end within 5 s even if the process %s hangs", async (name) => {
    const service = await startService({ processes: 2 });
    const pids = [...processesOf(service).values()];
    process.kill(pidOf(service, name), "SIGSTOP");
    const start = performance.now();
    service.signal("SIGTERM");
    expect(await service.exited()).toBe(0);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(await service.logged("shutdown_complete")).toMatchObject({ forced: true });
    expect(pids.filter(isAlive)).toEqual([]);
    await service.stop();
  });

  it("end with their launcher, and free the port and the data folder", async () => {
    const dataDir = await makeDataDir();
    const port = await stablePort();
    const first = await startService({ processes: 2, port, dataDir: dataDir.path });
    await first.publish({ type: "note", data: "kept" });
    const pids = [...processesOf(first).values()];
    await expect(startService({ processes: 2, dataDir: dataDir.path })).rejects.toThrow(
      `is in use by another ${host.command}`,
    );
    await expect(startService({ processes: 2, port })).rejects.toThrow("the port is in use");
    process.kill(first.pid, "SIGKILL");
    const second = await startService({ processes: 2, port, dataDir: dataDir.path });
    expect(pids.filter(isAlive)).toEqual([]);
    const history = await second.fetch("/api/history");
    expect(await history.json()).toMatchObject({ events: [{ id: "1", data: "kept" }] });
    await second.stop();
    await first.stop();
    await dataDir.remove();
  });

  it("use no proxy for the calls between them", async () => {
    const env = { HTTP_PROXY: "http://127.0.0.1:9", http_proxy: "http://127.0.0.1:9" };
    const service = await startService({ processes: 2, env });
    expect((await service.publish({ type: "note", data: 1 })).events).toHaveLength(1);
    expect(await service.stop()).toBe(0);
  });
});
