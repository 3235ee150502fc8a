import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

import { makeTemporaryFolder, type Cleanup } from "./cleanup.ts";
import type { Host } from "./host.ts";
import { findDescendant } from "./process-usage.ts";

/** The hosts of the service on this machine, and what starts each of them. */
const LAUNCHERS = { workerd: "start.ts", deno: "serve.ts" } as const;

export type ServiceHost = keyof typeof LAUNCHERS;

export const SERVICE_HOSTS = Object.keys(LAUNCHERS) as ServiceHost[];

export function isServiceHost(name: string): name is ServiceHost {
  return Object.hasOwn(LAUNCHERS, name);
}

/** The default configuration, with the most clients that a channel can have and a channel for each row. */
const configOf = ({
  heartbeatSeconds = 30,
  maxConnections = 1_000,
  clientsPerObject = 1_000,
}: ServiceOptions): string => `sse:
  max_connections: ${maxConnections}
  heartbeat_interval_seconds: ${heartbeatSeconds}
channels:
  allowed: ["*"]
limits:
  clients_per_object: ${clientsPerObject}
  exempt_addresses: [127.0.0.1]
`;

export interface ServiceOptions {
  readonly host: ServiceHost;
  readonly heartbeatSeconds?: number;
  readonly maxConnections?: number;
  /** Below `maxConnections`, relays hold the clients. */
  readonly clientsPerObject?: number;
}

/** How long a stop may take. The launcher promises 5 seconds. */
const STOP_GRACE_MS = 6_000;

/** Starts the service as `npm start` or `npm run serve` does, with its own storage. */
export async function startService(cleanup: Cleanup, options: ServiceOptions): Promise<Host> {
  const folder = makeTemporaryFolder(cleanup);
  const configFile = join(folder, "config.yaml");
  writeFileSync(configFile, configOf(options));
  const token = randomUUID();
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, "../src/local", LAUNCHERS[options.host]),
      "--port",
      "0",
      "--host",
      "127.0.0.1",
      "--data-dir",
      join(folder, "data"),
      "--config",
      configFile,
    ],
    {
      // A separate process group: this process passes Ctrl-C on, after the load has stopped.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        PUBLISH_TOKEN: token,
        ADMIN_TOKEN: randomUUID(),
        EDGE_SSE_DEV_VARS: join(folder, ".dev.vars"),
      },
    },
  );
  const exited = once(child, "exit");
  const stop = cleanup.add(async () => {
    child.kill("SIGTERM");
    const inTime = await Promise.race([exited.then(() => true), sleep(STOP_GRACE_MS, false, { ref: false })]);
    if (!inTime) {
      child.kill("SIGKILL");
      await exited;
    }
    killGroup(child.pid);
  });
  const lastWords: string[] = [];
  createInterface({ input: child.stderr }).on("line", (line) => {
    lastWords.push(line);
    lastWords.splice(0, lastWords.length - 20);
  });
  const port = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const ready = /^Ready on http:\/\/[^:]*:(\d+)/.exec(line);
      if (ready !== null) {
        resolve(Number(ready[1]));
      }
    });
    child.once("exit", () => reject(new Error(`The service did not start:\n${lastWords.join("\n")}`)));
  });
  const pid = child.pid === undefined ? undefined : findDescendant(child.pid, options.host);
  if (pid === undefined) {
    throw new Error(`The launcher has no child process called ${options.host}.`);
  }
  return {
    name: `edge-sse on ${options.host}`,
    port,
    pid,
    token,
    eventsPath: (channel) => `/api/events?channel=${channel}`,
    publishPath: (channel) => `/api/publish?channel=${channel}`,
    stop,
  };
}

/** Insists that so many relays hold the clients of a channel, so that no row measures something else. */
export async function requireRelays(host: Host, channel: string, relays: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${host.port}/health?channel=${channel}`);
  const { sse } = (await answer.json()) as { sse: { relays?: { count: number } } };
  if ((sse.relays?.count ?? 0) !== relays) {
    throw new Error(`${host.name}: expected ${relays} relays, found ${sse.relays?.count ?? 0}`);
  }
}

/** A launcher that is stopped during its build leaves the bundler behind, which would continue to write files. */
function killGroup(leader: number | undefined): void {
  try {
    process.kill(-(leader ?? Number.NaN), "SIGKILL");
  } catch {
    // The group has ended.
  }
}
