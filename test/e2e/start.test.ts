import { existsSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { host } from "../support/host.ts";
import { stablePort } from "../support/port.ts";
import { find, inspect, isAlive, openWorkplace, type Workplace } from "../support/started.ts";
import { until } from "../support/until.ts";

let workplace: Workplace;

beforeEach(async () => {
  workplace = await openWorkplace();
});

afterEach(() => workplace.remove());

const devVars = () => join(workplace.path, ".dev.vars");

const statusOf = async (url: string, token: string): Promise<number> =>
  (await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status;

const publishStatus = async (url: string, token: string): Promise<number> => {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const body = '{"type":"a","data":1}';
  return (await fetch(`${url}/api/publish`, { method: "POST", headers, body })).status;
};

describe(`the command ${host.command}`, () => {
  it("from a fresh clone creates two tokens, and prints two lines that work when pasted elsewhere", async () => {
    const service = workplace.npmStart();
    const url = await service.ready();
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const [stream = "", publish = ""] = await service.lines();
    expect(stream).toBe(`curl -N ${url}/api/events`);

    const streaming = workplace.run("/bin/sh", ["-c", stream]);
    await until(() => streaming.output.includes("event: connected"), { what: "the stream" });
    const publishing = workplace.run("/bin/sh", ["-c", publish]);
    await until(() => streaming.output.includes("event: state_transition"), {
      what: () => `the event, got\n${streaming.output}\n${publishing.output}`,
    });
    expect(await publishing.ended()).toBe(0);
    expect(publishing.output).toContain('"duplicate":false');

    const vars = await readFile(devVars(), "utf8");
    expect(vars).toMatch(/^PUBLISH_TOKEN=\S{32,}$/m);
    expect(vars).toMatch(/^ADMIN_TOKEN=\S{32,}$/m);
    for (const [, token = ""] of vars.matchAll(/^\w+_TOKEN=(\S+)$/gm)) {
      expect(service.output).not.toContain(token);
    }
    expect(service.output).toContain("sed -n 's/^PUBLISH_TOKEN=//p'");
    expect((await stat(devVars())).mode & 0o777).toBe(0o600);
  });

  it("adds a token that is missing in .dev.vars, and both tokens open their routes", async () => {
    await writeFile(devVars(), "PUBLISH_TOKEN=mine");
    const url = await workplace.launch().ready();
    const vars = await readFile(devVars(), "utf8");
    expect(vars).toMatch(/^PUBLISH_TOKEN=mine\nADMIN_TOKEN=\S{32,}\n$/);
    const [, admin = ""] = /ADMIN_TOKEN=(\S+)/.exec(vars) ?? [];
    expect(await statusOf(`${url}/api/admin/clients`, admin)).toBe(200);
    expect(await statusOf(`${url}/api/admin/clients`, "mine")).toBe(401);
    expect(await publishStatus(url, "mine")).toBe(200);
  });

  it("prefers the environment to .dev.vars, closes a route whose token is empty, and writes no token down", async () => {
    const text = "PUBLISH_TOKEN=from-the-file\nADMIN_TOKEN=a\n";
    await writeFile(devVars(), text);
    const service = workplace.launch([], { PUBLISH_TOKEN: "from-outside", ADMIN_TOKEN: "" });
    const url = await service.ready();
    expect(await publishStatus(url, "from-outside")).toBe(200);
    expect(await publishStatus(url, "from-the-file")).toBe(401);
    expect(await statusOf(`${url}/api/admin/clients`, "a")).toBe(503);

    const build = join(workplace.path, host.dataFolder, "build");
    for (const file of await readdir(build)) {
      expect(await readFile(join(build, file), "utf8")).not.toContain("from-outside");
    }
    for (const pid of service.family()) {
      expect(inspect(pid)?.command).not.toContain("from-outside");
    }
    expect(service.output).not.toContain("from-outside");
    expect(await readFile(devVars(), "utf8")).toBe(text);

    const stream = await fetch(`${url}/api/events`);
    service.child.kill("SIGTERM");
    expect(await stream.text()).toContain('"reason":"shutdown"');
    expect(await service.ended()).toBe(0);
  });

  it("listens on PORT and HOST unless a flag overrides them, and prints an address that works", async () => {
    const port = await stablePort();
    const args = [host.entry, "--host", "0.0.0.0"];
    const service = workplace.run(process.execPath, args, { PORT: String(port), HOST: "192.0.2.1" });
    expect(new URL(await service.ready()).port).toBe(String(port));
    expect((await service.lines())[0]).toBe(`curl -N http://127.0.0.1:${port}/api/events`);
  });

  it("refuses invalid settings with a reason and without a stack, and exits 1", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await until(() => server.listening, { what: "the server in its way" });
    const used = String((server.address() as AddressInfo).port);
    try {
      await Promise.all(
        [
          [["--port", "http"], "the port must be a number from 0 to 65535"],
          [["--port", used], "the port is in use"],
          [["--verbose"], "--verbose"],
          [["--config", "nowhere.yaml"], "nowhere.yaml: the configuration cannot be read"],
          [["--data-dir", "package.json"], "cannot be used: ENOTDIR"],
          [["--data-dir", "/proc/data"], "the data folder /proc/data cannot be used"],
          [["--host", "192.0.2.1"], "this machine does not have that address"],
        ].map(async ([args = [], reason], index) => {
          // Two starts in the same data folder would refuse each other. The last flag of a name wins.
          const service = workplace.launch(["--data-dir", `data-${index}`, ...(args as string[])]);
          expect(await service.ended(), `${String(args)}: the exit code`).toBe(1);
          expect(service.output).toContain(`${host.command}: `);
          expect(service.output).toContain(reason);
          expect(service.output).not.toMatch(/^\s+at /m);
        }),
      );
    } finally {
      server.close();
    }
  });

  it("accepts a data folder of any name, and refuses one in use without disturbing the service that uses it", async () => {
    const name = 'd ä"\\$x';
    const url = await workplace.launch(["--data-dir", name]).ready();
    expect(existsSync(join(workplace.path, name, "storage"))).toBe(true);
    const second = workplace.launch(["--data-dir", name]);
    expect(await second.ended()).toBe(1);
    const refusal = `^${host.command}: the data folder .+ is in use by another ${host.command}$`;
    expect(second.output).toMatch(new RegExp(refusal, "m"));
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  it("keeps running after the reader of its output has gone", async () => {
    const port = await stablePort();
    const service = workplace.run("/bin/sh", [
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
});
