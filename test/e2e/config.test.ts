import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { copyProject } from "../support/project-copy.ts";
import { startService } from "../support/service.ts";

interface Ended {
  code: number;
  output: string;
}

describe("config.yaml on its way to the edge", () => {
  let project: Awaited<ReturnType<typeof copyProject>>;

  beforeEach(async () => {
    project = await copyProject();
  });

  afterEach(() => project.remove());

  const run = async (command: string, ...args: string[]): Promise<Ended> => {
    const env = { ...process.env, CI: "1", NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" };
    try {
      const { stdout, stderr } = await promisify(execFile)(command, args, { cwd: project.path, env });
      return { code: 0, output: stdout + stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, output: stdout + stderr };
    }
  };
  const deploy = () => run("npx", "wrangler", "deploy", "--dry-run", "--outdir", join(project.path, "dist"));
  const configure = (yaml: string) => writeFile(join(project.path, "config.yaml"), yaml);

  it("stops the deploy when it has changed, names the remedy, and is deployed after that", async () => {
    await configure("limits: { clients_per_object: 77 }");
    const stopped = await deploy();
    expect(stopped.code).not.toBe(0);
    expect(stopped.output).toContain("config.yaml has changed since it was compiled: run npm run config");
    expect(stopped.output).not.toContain("env.LIMITS");
    expect(await run("npm", "run", "config")).toMatchObject({ code: 0 });
    const { code, output } = await deploy();
    expect(output).toContain('env.LIMITS ({"clients_per_object":77,');
    expect(code).toBe(0);
  });

  it("stops the deploy when it is not valid, with every mistake, and leaves wrangler.toml unchanged", async () => {
    const before = await readFile(join(project.path, "wrangler.toml"), "utf8");
    await configure("sse: { max_connections: 0 }\nlimit: {}\n");
    const mistakes = [
      "config.yaml:1:25 sse.max_connections: expected an integer from 1 to 1000000, got 0",
      "config.yaml:2:1 limit: unknown key (did you mean limits?)",
    ];
    for (const { code, output } of [await deploy(), await run("npm", "run", "config")]) {
      expect(code).not.toBe(0);
      expect(mistakes.filter((mistake) => !output.includes(mistake))).toEqual([]);
    }
    expect(await readFile(join(project.path, "wrangler.toml"), "utf8")).toBe(before);
  });
});

describe("config.yaml and npm start", () => {
  it("need no compilation in between: the Worker obeys the file", async () => {
    const service = await startService({
      config: "sse: { max_connections: 7 }\nchannels: { allowed: [board] }",
    });
    try {
      expect((await service.health("board")).sse.max_connections).toBe(7);
      expect((await service.fetch("/api/events?channel=default")).status).toBe(404);
    } finally {
      await service.stop();
    }
  });

  it("do not start with mistakes, all of which are listed", async () => {
    const starting = startService({ config: "sse: { max_connections: 0 }\nlimit: {}\n" });
    await expect(starting).rejects.toThrow(
      /ended with 1 before[^]*max_connections: expected[^]*limit: unknown key/,
    );
  });
});
