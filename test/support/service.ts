import { spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { host } from "./host.ts";
import { descendants } from "./processes.ts";
import { openRaw, openStream, type RawRequest, type RawStream } from "./raw-stream.ts";
import { until } from "./until.ts";

const root = join(import.meta.dirname, "../..");

export const publishToken = "publish-token-of-the-tests";
export const adminToken = "admin-token-of-the-tests";

export interface ServiceOptions {
  /** What config.yaml says, as an object or as YAML; every key left out has its default. */
  config?: Readonly<Record<string, unknown>> | string;
  env?: Readonly<Record<string, string>>;
  /** A folder to keep over a restart; without it a fresh one, removed at the end. */
  dataDir?: string;
  /** 0: any free one. */
  port?: number;
  /** More than one: the service as several processes, which only one host has. The projects in vitest.config.ts choose a default. */
  processes?: number;
  /** Limits for the service, as arguments of `ulimit`. */
  ulimit?: string;
}

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface PublishedEvent {
  readonly type?: string;
  readonly data?: unknown;
  readonly text?: string;
  readonly [field: string]: unknown;
}

export interface PublishAnswer {
  readonly events: readonly {
    readonly id: string;
    readonly type: string;
    readonly duplicate: boolean;
    readonly conflict?: boolean;
  }[];
}

export interface PostOptions {
  /** With its question mark. */
  query?: string;
  contentType?: string;
  /** The whole value of `Authorization`; null: none. */
  authorization?: string | null;
  headers?: Readonly<Record<string, string>>;
}

/** The service as `npm start` or `npm run serve` runs it, on a port of its own. */
export interface Service {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly dataDir: string;
  /** Every line of JSON that it has logged so far. */
  readonly logs: readonly LogLine[];
  /** The whole output, for lines that are not JSON and for messages of failures. */
  readonly output: string;
  /** Publishes with the right token, and insists on 200. */
  publish(events: PublishedEvent | readonly PublishedEvent[], channel?: string): Promise<PublishAnswer>;
  /** Publishes any bytes in any way, and gives the answer, whatever it is. */
  post(body: string | Uint8Array<ArrayBuffer>, options?: PostOptions): Promise<Response>;
  stream(query?: Readonly<Record<string, string>>, request?: RawRequest): Promise<RawStream>;
  raw(path: string, request?: RawRequest): Promise<RawStream>;
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** `fetch` with the admin token. */
  admin(path: string, init?: RequestInit): Promise<Response>;
  health(channel?: string): Promise<Health>;
  /** Waits for a line of the log, those before the call included. */
  logged(event: string, fields?: Readonly<Record<string, unknown>>, timeoutMs?: number): Promise<LogLine>;
  /** SIGTERM, and the exit code. Also ends the open streams of this process. */
  stop(): Promise<number | null>;
  signal(name: NodeJS.Signals): void;
  exited(timeoutMs?: number): Promise<number | null>;
  /** SIGKILL to the launcher and to everything that it started. */
  kill(): Promise<void>;
}

export interface Health {
  readonly httpStatus: number;
  readonly status: string;
  readonly version: string;
  readonly sse: {
    readonly status: string;
    readonly active_connections: number;
    readonly max_connections: number;
    readonly last_event_id: string;
    readonly [field: string]: unknown;
  };
}

/** The services of the tests must not outlive them, however they end. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) {
    child.kill("SIGKILL");
  }
});

export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const scratch = await mkdtemp(join(tmpdir(), "edge-sse-e2e-"));
  const configFile = join(scratch, "config.yaml");
  const dataDir = options.dataDir ?? join(scratch, "data");
  const { config = {} } = options;
  // JSON is YAML.
  await writeFile(configFile, typeof config === "string" ? config : JSON.stringify(withLane(config)));

  const child = spawn(
    "/bin/sh",
    [
      "-c",
      `${options.ulimit === undefined ? "" : `ulimit ${options.ulimit} && `}exec "$0" "$@"`,
      process.execPath,
      host.entry,
      "--port",
      String(options.port ?? 0),
      "--data-dir",
      dataDir,
      "--config",
      configFile,
      ...processesFlag(options.processes),
    ],
    {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        EDGE_SSE_DEV_VARS: join(scratch, ".dev.vars"),
        PUBLISH_TOKEN: publishToken,
        ADMIN_TOKEN: adminToken,
        ...options.env,
      },
    },
  );
  running.add(child);

  const logs: LogLine[] = [];
  const lines: string[] = [];
  for (const output of [child.stdout, child.stderr]) {
    createInterface({ input: output }).on("line", (line) => {
      lines.push(line);
      const parsed = parseLogLine(line);
      if (parsed !== undefined) {
        logs.push(parsed);
      }
    });
  }
  let exitCode: number | null | undefined;
  child.once("exit", (code) => {
    exitCode = code;
    running.delete(child);
  });

  const exited = async (timeoutMs = 10_000): Promise<number | null> => {
    await until(() => exitCode !== undefined, {
      what: () => `the end of the service; it said\n${lines.slice(-20).join("\n")}`,
      timeoutMs,
    });
    return exitCode ?? null;
  };
  const kill = async (): Promise<void> => {
    const pids =
      child.pid === undefined || exitCode !== undefined ? [] : [child.pid, ...descendants(child.pid)];
    for (const pid of pids) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // Gone already.
      }
    }
    await exited();
  };
  const cleanUp = (): Promise<void> => rm(scratch, { recursive: true, force: true, maxRetries: 5 });

  let url: string;
  try {
    url = await until(
      () => {
        if (exitCode !== undefined) {
          throw new Error(`The service ended with ${exitCode} before it was ready:\n${lines.join("\n")}`);
        }
        return lines.map((line) => /^Ready on (http:\/\/\S+?)\/?$/.exec(line)?.[1]).find(Boolean);
      },
      { what: () => `"Ready on ..."; the service said\n${lines.join("\n")}`, timeoutMs: 25_000 },
    );
  } catch (error) {
    await kill();
    await cleanUp();
    throw error;
  }

  const streams = new Set<RawStream>();
  const keep = (stream: RawStream): RawStream => {
    streams.add(stream);
    return stream;
  };
  const call = (path: string, init?: RequestInit): Promise<Response> => fetch(new URL(path, url), init);

  const service: Service = {
    url,
    port: Number(new URL(url).port),
    pid: child.pid ?? 0,
    dataDir,
    logs,
    get output() {
      return lines.join("\n");
    },
    post: (body, { query = "", contentType, authorization, headers } = {}) =>
      call(`/api/publish${query}`, {
        method: "POST",
        headers: {
          "Content-Type": contentType ?? "application/json",
          ...(authorization === null ? {} : { Authorization: authorization ?? `Bearer ${publishToken}` }),
          ...headers,
        },
        body,
      }),
    publish: async (events, channel) => {
      const query = channel === undefined ? "" : `?channel=${channel}`;
      const answer = await service.post(JSON.stringify(events), { query });
      if (answer.status !== 200) {
        throw new Error(`Publishing: ${answer.status} ${await answer.text()}`);
      }
      return (await answer.json()) as PublishAnswer;
    },
    stream: async (query = {}, request = {}) =>
      keep(await openStream(`${url}/api/events?${new URLSearchParams(query)}`, request)),
    raw: async (path, request = {}) => keep(await openRaw(`${url}${path}`, request)),
    fetch: call,
    admin: (path, init = {}) => call(path, { ...init, headers: { Authorization: `Bearer ${adminToken}` } }),
    health: async (channel) => {
      const answer = await call(channel === undefined ? "/health" : `/health?channel=${channel}`);
      return { ...((await answer.json()) as Omit<Health, "httpStatus">), httpStatus: answer.status };
    },
    logged: (event, fields = {}, timeoutMs = 5_000) =>
      until(
        () =>
          logs.find(
            (line) =>
              line.event === event && Object.entries(fields).every(([name, value]) => line[name] === value),
          ),
        {
          what: () =>
            `a log line ${event} ${JSON.stringify(fields)}; the last ones are\n${lines.slice(-20).join("\n")}`,
          timeoutMs,
        },
      ),
    stop: async () => {
      for (const stream of streams) {
        stream.reset();
      }
      if (exitCode === undefined) {
        child.kill("SIGTERM");
      }
      try {
        return await exited();
      } finally {
        await kill();
        await cleanUp();
      }
    },
    signal: (name) => void child.kill(name),
    exited,
    kill: async () => {
      await kill();
      await until(() => refuses(Number(new URL(url).port)), { what: "the port to be free again" });
      if (options.dataDir !== undefined) {
        await cleanUp();
      }
    },
  };
  return service;
}

/** In the lane with relays, every channel that may have more than ten clients has them. */
function withLane(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const limits = { clients_per_object: 10, ...(config["limits"] as object | undefined) };
  return process.env["SERVICE_RELAYS"] === undefined ? config : { ...config, limits };
}

function processesFlag(processes = Number(process.env["SERVICE_PROCESSES"] ?? 1)): string[] {
  return processes === 1 ? [] : ["--processes", String(processes)];
}

/** A folder for the data of a service that is started more than once. */
export async function makeDataDir(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "edge-sse-data-"));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}

function parseLogLine(line: string): LogLine | undefined {
  if (!line.startsWith("{")) {
    return undefined;
  }
  try {
    const parsed: unknown = JSON.parse(line);
    return typeof parsed === "object" && parsed !== null && "event" in parsed
      ? (parsed as LogLine)
      : undefined;
  } catch {
    return undefined;
  }
}

function refuses(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", () => resolve(true));
  });
}
