import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import {
  inspect,
  isAlive,
  launcherOf,
  openWorkplace,
  runtimeOf,
  type Started,
  type Workplace,
} from "../support/started.ts";
import { host } from "../support/host.ts";
import { until } from "../support/until.ts";

let workplace: Workplace;

beforeEach(async () => {
  workplace = await openWorkplace();
});

afterEach(() => workplace.remove());

const channels = ["default", "board-1", "board-2"];

/** The process that gets a signal. */
const targets: Readonly<Record<string, (service: Started) => number>> = {
  npm: (service) => service.pid,
  "the launcher alone": launcherOf,
  "the whole process group": (service) => -service.pid,
};

/** Opens 100 streams in three channels, sends the signal, and checks that every client is told and no process is left. */
async function expectStop(signal: NodeJS.Signals, service: Started, target: number): Promise<void> {
  const url = await service.ready();
  const streams = await Promise.all(
    Array.from({ length: 100 }, (_, n) => fetch(`${url}/api/events?channel=${channels[n % 3]}`)),
  );
  const texts = Promise.all(streams.map((stream) => stream.text()));
  const start = performance.now();
  process.kill(target, signal);
  expect(await service.ended()).toBe(0);
  expect(performance.now() - start).toBeLessThan(5_000);
  const untold = (await texts).filter((text) => !/event: close\ndata: \{"reason":"shutdown"/.test(text));
  expect(untold).toEqual([]);
  expect(service.logged("shutdown")).toMatchObject({ level: "info", closed: 100, lingering: 0, channels: 3 });
  expect(service.logged("shutdown_complete")).toMatchObject({ level: "info", forced: false });
  await until(() => !service.family().some(isAlive), { what: "the end of all that it has started" });
}

describe(`the command ${host.command}, told to stop`, () => {
  it.each(["SIGTERM", "SIGINT"] as const)(
    "by a %s to npm, to the launcher or to both, tells 100 clients and exits 0 within 5 s",
    async (signal) => {
      await writeFile(join(workplace.path, "config.yaml"), 'channels: { allowed: ["*"] }');
      const services = await Promise.all(
        Object.entries(targets).map(async ([name, target]) => {
          const service = workplace.npmStart(["--data-dir", name]);
          await service.ready();
          return { service, target: target(service) };
        }),
      );
      expect(services).toHaveLength(3);
      for (const { service, target } of services) {
        await expectStop(signal, service, target);
      }
    },
  );

  it("twice, stops as after one signal", async () => {
    const service = workplace.launch();
    const url = await service.ready();
    const stream = await fetch(`${url}/api/events`);
    service.child.kill("SIGINT");
    service.child.kill("SIGTERM");
    service.child.kill("SIGINT");
    expect(await stream.text()).toContain('"reason":"shutdown"');
    expect(await service.ended()).toBe(0);
    expect(service.logged("shutdown")).toMatchObject({ closed: 1 });
  });

  it("before it is ready, exits 0 at once and leaves no process behind", async () => {
    const service = workplace.launch();
    await until(() => existsSync(join(workplace.path, host.dataFolder, "build/lock.db")), {
      what: "a sign of life",
      everyMs: 1,
    });
    const family = service.family();
    service.child.kill("SIGTERM");
    expect(await service.ended(2_000)).toBe(0);
    await until(() => !family.some(isAlive), { what: "the end of all that it has started" });
  });

  it("while its runtime hangs, ends the runtime by force and still exits 0 within 5 s", async () => {
    const service = workplace.launch();
    await service.ready();
    const runtime = runtimeOf(service);
    process.kill(runtime, "SIGSTOP");
    const start = performance.now();
    service.child.kill("SIGTERM");
    expect(await service.ended()).toBe(0);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(service.logged("shutdown_without_drain")).toMatchObject({ level: "error" });
    expect(service.logged("shutdown_complete")).toMatchObject({ forced: true });
    await until(() => !isAlive(runtime), { what: "the end of the runtime" });
  });
});

describe(`the command ${host.command} and its runtime`, () => {
  it("are in different process groups, end together, and can start again at once with all events", async () => {
    const first = workplace.npmStart([], { PUBLISH_TOKEN: "t" });
    const answer = await fetch(`${await first.ready()}/api/publish`, {
      method: "POST",
      headers: { Authorization: "Bearer t", "Content-Type": "application/json" },
      body: '{"type":"a","data":"kept"}',
    });
    expect(answer.status).toBe(200);
    const family = first.family();
    const runtime = runtimeOf(first);
    const launcher = launcherOf(first);
    expect(family).toContain(runtime);
    expect(inspect(runtime)?.group).toBe(runtime);
    expect(inspect(launcher)?.group).not.toBe(runtime);

    process.kill(launcher, "SIGKILL");
    const second = workplace.launch();
    await until(() => !family.some(isAlive), { what: "the end of the runtime", timeoutMs: 2_000 });
    const history = await fetch(`${await second.ready()}/api/history`);
    expect(await history.json()).toMatchObject({ events: [{ id: "1", type: "a", data: "kept" }] });
  });

  it("exit with 1 when the runtime breaks", async () => {
    const service = workplace.launch();
    await service.ready();
    process.kill(runtimeOf(service), "SIGKILL");
    expect(await service.ended()).toBe(1);
    expect(service.logged("runtime_ended")).toMatchObject({ level: "error", signal: "SIGKILL" });
    await until(() => !service.family().some(isAlive), { what: "the end of all that it has started" });
  });
});
