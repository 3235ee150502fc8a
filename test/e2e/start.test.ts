import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { request } from "node:http";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { host } from "../support/host.ts";
import { descendants } from "../support/processes.ts";
import { copyProject } from "../support/project-copy.ts";
import { until } from "../support/until.ts";

type Project = Awaited<ReturnType<typeof copyProject>>;

/** What the system says of a process; nothing if there is none. */
function inspect(pid: number): { group: number; state: string; command: string } | undefined {
  const { stdout } = spawnSync("ps", ["-ww", "-o", "pgid=,stat=,args=", "-p", String(pid)], {
    encoding: "utf8",
  });
  const [, group, state, command] = /^\s*(\d+)\s+(\S+)\s+(.*)$/m.exec(stdout) ?? [];
  return group === undefined
    ? undefined
    : { group: Number(group), state: state ?? "", command: command ?? "" };
}

/** One that has ended and is only waiting for its parent to notice is not alive. */
function isAlive(pid: number): boolean {
  return inspect(pid)?.state.startsWith("Z") === false;
}

/** The process whose command line has the one and not the other. */
function find(pids: readonly number[], word: string, otherWord: string): number {
  const found = pids.find((pid) => {
    const { command = "" } = inspect(pid) ?? {};
    return command.includes(word) && !command.includes(otherWord);
  });
  if (found === undefined) {
    throw new Error(`No process with ${word} in its command line`);
  }
  return found;
}

/** Without the tokens and the address that may be set where the tests run. */
function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { PUBLISH_TOKEN: _publish, ADMIN_TOKEN: _admin, PORT: _port, HOST: _host, ...rest } = process.env;
  return { ...rest, ...env };
}

/** A process that a test has started, with all it says and all it started itself. */
class Started {
  readonly child: ChildProcess;
  output = "";
  readonly #seen = new Set<number>();

  constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    }
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  async ready(): Promise<string> {
    const url = await until(
      () => {
        if (this.child.exitCode !== null) {
          throw new Error(`It ended with ${this.child.exitCode}:\n${this.output}`);
        }
        return /^Ready on (http:\/\/\S+)$/m.exec(this.output)?.[1];
      },
      { what: () => `"Ready on ...", got\n${this.output}`, timeoutMs: 20_000 },
    );
    this.family();
    return url;
  }

  /** It and all that it has started, as long as it could be asked. */
  family(): number[] {
    for (const pid of [this.pid, ...descendants(this.pid)]) {
      this.#seen.add(pid);
    }
    return [...this.#seen];
  }

  async ended(timeoutMs = 10_000): Promise<number | NodeJS.Signals> {
    await until(() => this.child.exitCode !== null || this.child.signalCode !== null, {
      what: () => `the end of the process; it said\n${this.output}`,
      timeoutMs,
    });
    return this.child.exitCode ?? this.child.signalCode ?? -1;
  }

  logged(event: string): Record<string, unknown> | undefined {
    return this.output
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .find((line) => line["event"] === event);
  }

  end(): void {
    for (const pid of this.family()) {
      if (isAlive(pid)) {
        process.kill(pid, "SIGKILL");
      }
    }
  }
}

describe(`the command ${host.command}`, () => {
  let project: Project;
  let started: Started[];

  beforeEach(async () => {
    project = await copyProject();
    started = [];
  });

  afterEach(async () => {
    for (const process of started) {
      process.end();
    }
    await project.remove();
  });

  const run = (command: string, args: string[], env: NodeJS.ProcessEnv = {}): Started => {
    // A group of its own, which can be signalled as a terminal does.
    const child = spawn(command, args, { cwd: project.path, env: environment(env), detached: true });
    const process = new Started(child);
    started.push(process);
    return process;
  };
  const npmStart = (args: string[] = [], env: NodeJS.ProcessEnv = {}) =>
    run("npm", [...host.npmArguments, "--", "--port", "0", ...args], env);
  const launch = (args: string[] = [], env: NodeJS.ProcessEnv = {}) =>
    run(process.execPath, [host.entry, "--port", "0", ...args], env);
  const devVars = () => join(project.path, ".dev.vars");

  const launcherOf = (process: Started) => find(process.family(), host.entry, "npm");
  const runtimeOf = (process: Started) => find(process.family(), host.runtimeCommand, "/bin/sh");

  describe("from a fresh clone", () => {
    it("prints Ready and two lines that work when they are pasted into another terminal", async () => {
      const service = npmStart();
      const url = await service.ready();
      expect((await fetch(`${url}/health`)).status).toBe(200);
      const [stream = "", publish = ""] = await until(
        () => {
          const lines = service.output.split("\n").filter((line) => line.startsWith("curl "));
          return lines.length === 2 && lines;
        },
        { what: "two lines of curl" },
      );
      expect(stream).toBe(`curl -N ${url}/api/events`);

      const streaming = run("/bin/sh", ["-c", stream]);
      await until(() => streaming.output.includes("event: connected"), { what: "the stream" });
      const publishing = run("/bin/sh", ["-c", publish]);
      await until(() => streaming.output.includes("event: state_transition"), {
        what: () => `the event, got\n${streaming.output}\n${publishing.output}`,
      });
      expect(await publishing.ended()).toBe(0);
      expect(publishing.output).toContain('"duplicate":false');
    });

    it("makes up two tokens, keeps them for itself, and keeps them", async () => {
      const first = npmStart();
      await first.ready();
      const text = await readFile(devVars(), "utf8");
      expect(text).toMatch(/^PUBLISH_TOKEN=\S{32,}$/m);
      expect(text).toMatch(/^ADMIN_TOKEN=\S{32,}$/m);
      expect((await stat(devVars())).mode & 0o777).toBe(0o600);
      first.child.kill("SIGTERM");
      await first.ended();

      const second = launch();
      await second.ready();
      expect(await readFile(devVars(), "utf8")).toBe(text);
    });
  });

  it("adds the token that .dev.vars lacks, and both of them open their routes", async () => {
    await writeFile(devVars(), "PUBLISH_TOKEN=mine");
    const url = await launch().ready();
    const vars = await readFile(devVars(), "utf8");
    expect(vars).toMatch(/^PUBLISH_TOKEN=mine\nADMIN_TOKEN=\S{32,}\n$/);
    const [, admin = ""] = /ADMIN_TOKEN=(\S+)/.exec(vars) ?? [];
    const clients = (token: string) =>
      fetch(`${url}/api/admin/clients`, { headers: { Authorization: `Bearer ${token}` } });
    expect((await clients(admin)).status).toBe(200);
    expect((await clients("mine")).status).toBe(401);
  });

  it("lets the environment win, and writes none of it down", async () => {
    await writeFile(devVars(), "PUBLISH_TOKEN=from-the-file\nADMIN_TOKEN=a\n");
    const service = launch([], { PUBLISH_TOKEN: "from-outside" });
    const url = await service.ready();
    const publish = (token: string) =>
      fetch(`${url}/api/publish`, {
        method: "POST",
        headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: '{"type":"a","data":1}',
      });
    expect((await publish("from-outside")).status).toBe(200);
    expect((await publish("from-the-file")).status).toBe(401);

    const build = join(project.path, host.dataFolder, "build");
    for (const file of await readdir(build)) {
      expect(await readFile(join(build, file), "utf8")).not.toContain("from-outside");
    }
    for (const pid of service.family()) {
      expect(inspect(pid)?.command).not.toContain("from-outside");
    }
  });

  it("closes a route whose token is empty", async () => {
    const url = await launch([], { PUBLISH_TOKEN: "" }).ready();
    const answer = await fetch(`${url}/api/publish`, {
      method: "POST",
      headers: { Authorization: "Bearer " },
    });
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ code: "not_configured" });
  });

  it("listens where PORT and HOST say, unless a flag does", async () => {
    const port = await freePort();
    const service = run(process.execPath, [host.entry, "--host", "localhost"], {
      PORT: String(port),
      HOST: "192.0.2.1",
    });
    expect(await service.ready()).toBe(`http://localhost:${port}`);
  });

  it("prints an address that can be reached when it listens on all of them", async () => {
    const service = launch(["--host", "0.0.0.0"]);
    const { port } = new URL(await service.ready());
    await until(() => service.output.includes("/api/publish"), { what: "the lines of curl" });
    expect(service.output).toContain(`curl -N http://127.0.0.1:${port}/api/events\n`);
  });

  it.each([
    [["--port", "http"], "the port must be a number from 0 to 65535"],
    [["--verbose"], "--verbose"],
    [["--config", "nowhere.yaml"], "nowhere.yaml: the configuration cannot be read"],
    [["--data-dir", "package.json"], "cannot be used: ENOTDIR"],
    [["--data-dir", "/proc/data"], "the data folder /proc/data cannot be used"],
    [["--host", "192.0.2.1"], "this machine does not have that address"],
  ])("refuses %j with a reason, and exits 1", async (args, reason) => {
    const service = launch(args);
    expect(await service.ended()).toBe(1);
    expect(service.output).toContain(`${host.command}: `);
    expect(service.output).toContain(reason);
    expect(service.output).not.toMatch(/^\s+at /m);
  });

  it("refuses a port that is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    try {
      await until(() => server.listening, { what: "the server in its way" });
      const service = launch(["--port", String((server.address() as AddressInfo).port)]);
      expect(await service.ended()).toBe(1);
      expect(service.output).toContain("the port is in use");
    } finally {
      server.close();
    }
  });

  it("refuses a data folder that is in use, and harms nobody", async () => {
    const first = launch(["--data-dir", "one"]);
    const url = await first.ready();
    const second = launch(["--data-dir", "one"]);
    expect(await second.ended()).toBe(1);
    const refusal = `^${host.command}: the data folder \\S+ is in use by another ${host.command}$`;
    expect(second.output).toMatch(new RegExp(refusal, "m"));
    expect((await fetch(`${url}/health`)).status).toBe(200);
    await launch(["--data-dir", "another"]).ready();
  });

  it("takes a data folder of any name", async () => {
    const service = launch(["--data-dir", 'd ä"\\$x']);
    await service.ready();
    expect(existsSync(join(project.path, 'd ä"\\$x', "storage"))).toBe(true);
  });

  it("stays up when nobody reads what it prints any more", async () => {
    const port = await freePort();
    const service = run("/bin/sh", [
      "-c",
      `exec "${process.execPath}" ${host.entry} --port ${port} | head -1`,
    ]);
    await service.ready();
    const launcher = find(service.family(), host.entry, "/bin/sh");
    for (let n = 0; n < 20; n++) {
      const stream = await fetch(`http://127.0.0.1:${port}/api/events`);
      expect(stream.status).toBe(200);
      await stream.body?.cancel();
    }
    process.kill(launcher, "SIGTERM");
    await until(() => !isAlive(launcher), { what: "the end of the launcher" });
  });

  describe("told to stop", () => {
    const channels = ["default", "board-1", "board-2"];
    const targets = {
      npm: (service: Started, signal: NodeJS.Signals) => process.kill(service.pid, signal),
      "the launcher alone": (service: Started, signal: NodeJS.Signals) =>
        process.kill(launcherOf(service), signal),
      "the whole process group": (service: Started, signal: NodeJS.Signals) =>
        process.kill(-service.pid, signal),
    };

    it.each([
      ["SIGTERM", "npm"],
      ["SIGTERM", "the launcher alone"],
      ["SIGTERM", "the whole process group"],
      ["SIGINT", "npm"],
      ["SIGINT", "the launcher alone"],
      ["SIGINT", "the whole process group"],
    ] as const)(
      "by %s to %s, tells 100 clients of 3 channels, and exits 0 within 5 s",
      async (signal, target) => {
        await writeFile(join(project.path, "config.yaml"), 'channels: { allowed: ["*"] }');
        const service = npmStart();
        const url = await service.ready();
        const streams = await Promise.all(
          Array.from({ length: 100 }, (_, n) => fetch(`${url}/api/events?channel=${channels[n % 3]}`)),
        );
        const texts = Promise.all(streams.map((stream) => stream.text()));

        const start = performance.now();
        targets[target](service, signal);
        expect(await service.ended()).toBe(0);
        expect(performance.now() - start).toBeLessThan(5000);

        expect(
          (await texts).filter((text) => !/event: close\ndata: \{"reason":"shutdown"/.test(text)),
        ).toEqual([]);
        expect(service.logged("shutdown")).toMatchObject({
          level: "info",
          closed: 100,
          lingering: 0,
          channels: 3,
        });
        expect(service.logged("shutdown_complete")).toMatchObject({ level: "info", forced: false });
        await until(() => !service.family().some(isAlive), { what: "the end of all that it has started" });
      },
    );

    it("twice, does as if it had been told once", async () => {
      const service = launch();
      const url = await service.ready();
      const stream = await fetch(`${url}/api/events`);
      service.child.kill("SIGINT");
      service.child.kill("SIGTERM");
      service.child.kill("SIGINT");
      expect(await stream.text()).toContain('"reason":"shutdown"');
      expect(await service.ended()).toBe(0);
      expect(service.logged("shutdown")).toMatchObject({ closed: 1 });
    });

    it("before it is ready, exits 0 at once and leaves nothing", async () => {
      const service = launch();
      await until(() => existsSync(join(project.path, host.dataFolder, "build/lock.db")), {
        what: "a sign of life",
        everyMs: 1,
      });
      const family = service.family();
      service.child.kill("SIGTERM");
      expect(await service.ended(2000)).toBe(0);
      await until(() => !family.some(isAlive), { what: "the end of all that it has started" });
    });

    it("while its runtime hangs, ends it by force and still exits 0 within 5 s", async () => {
      const service = launch();
      await service.ready();
      const runtime = runtimeOf(service);
      process.kill(runtime, "SIGSTOP");
      const start = performance.now();
      service.child.kill("SIGTERM");
      expect(await service.ended()).toBe(0);
      expect(performance.now() - start).toBeLessThan(5000);
      expect(service.logged("shutdown_without_drain")).toMatchObject({ level: "error" });
      expect(service.logged("shutdown_complete")).toMatchObject({ forced: true });
      await until(() => !isAlive(runtime), { what: "the end of the runtime" });
    });
  });

  describe("and its runtime", () => {
    it("are of different process groups", async () => {
      const service = npmStart();
      await service.ready();
      const runtime = runtimeOf(service);
      expect(inspect(runtime)?.group).toBe(runtime);
      expect(inspect(launcherOf(service))?.group).not.toBe(runtime);
    });

    it("end together, also when the launcher is killed: nothing is left 2 s later", async () => {
      const service = npmStart();
      await service.ready();
      const family = service.family();
      const runtime = runtimeOf(service);
      expect(family).toContain(runtime);
      process.kill(launcherOf(service), "SIGKILL");
      await until(() => !family.some(isAlive), { what: "the end of the runtime", timeoutMs: 2000 });
    });

    it("can be started again at once after the launcher was killed, and the events are still there", async () => {
      const first = launch([], { PUBLISH_TOKEN: "t" });
      const answer = await fetch(`${await first.ready()}/api/publish`, {
        method: "POST",
        headers: { Authorization: "Bearer t", "Content-Type": "application/json" },
        body: '{"type":"a","data":"kept"}',
      });
      expect(answer.status).toBe(200);
      first.child.kill("SIGKILL");
      const history = await fetch(`${await launch().ready()}/api/history`);
      expect(await history.json()).toMatchObject({ events: [{ id: "1", type: "a", data: "kept" }] });
    });

    it("end with 1 when it was the runtime that broke", async () => {
      const service = launch();
      await service.ready();
      process.kill(runtimeOf(service), "SIGKILL");
      expect(await service.ended()).toBe(1);
      expect(service.logged("runtime_ended")).toMatchObject({ level: "error", signal: "SIGKILL" });
      await until(() => !service.family().some(isAlive), { what: "the end of all that it has started" });
    });
  });

  describe("serves public/", () => {
    let url: string;

    beforeEach(async () => {
      const folder = join(project.path, "public");
      await mkdir(join(folder, "partials"), { recursive: true });
      await writeFile(join(folder, "index.html"), "<h1>console</h1>");
      await writeFile(join(folder, "about.html"), "<h1>about</h1>");
      await writeFile(join(folder, "client.js"), "export {};");
      await writeFile(join(folder, "partials/ä b.html"), "<p>");
      await writeFile(join(folder, ".secret"), "hidden");
      await writeFile(join(folder, "_headers"), "/*\n  X-Frame-Options: DENY\n/*.js\n  X-Script: 1\n");
      url = await launch().ready();
    });

    it("with content types, index.html, pages without their ending, and _headers", async () => {
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

    it("answers HEAD, and 304 to who has the file already", async () => {
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
    ])("and nothing else: %s", async (path) => {
      expect(await statusOf(url, path)).toBeGreaterThanOrEqual(400);
    });
  });
});

/** The status of a path that `fetch` would tidy up before it sends it. */
function statusOf(url: string, path: string): Promise<number | undefined> {
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await until(() => server.listening, { what: "a free port" });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
