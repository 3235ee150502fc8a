import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { formatMistake } from "../config/mistake.ts";
import type { Config } from "../config/schema.ts";
import { claimAddress, reachable, toUrl, withPort } from "./address.ts";
import { buildPublic } from "./build-public.ts";
import { compileConfigFile } from "./config-file.ts";
import { curlLines } from "./curl.ts";
import { openDataFolder } from "./data-folder.ts";
import { areEnough, descriptorsFor, type Demand } from "./descriptors.ts";
import { readDevVars } from "./dev-vars.ts";
import { LaunchError } from "./launch-error.ts";
import { log } from "./log.ts";
import { missingSecrets } from "./missing-secrets.ts";
import type { LocalHost } from "./local-host.ts";
import { readOptions, usageOf, type Options } from "./options.ts";
import type { Ended, Runtime } from "./runtime.ts";
import { shutDown } from "./shutdown.ts";
import type { StopSignal } from "./stop-signal.ts";
import { referTo } from "./token-reference.ts";

const project = resolve(import.meta.dirname, "../..");

/** Runs the service until it is told to stop, and ends the process: 0 after a stop in good order, else 1. */
export async function launch(host: LocalHost, args: readonly string[], stop: StopSignal): Promise<never> {
  ignoreClosedOutput();
  try {
    const options = readOptions(host, args, process.env, project);
    if (options === "help") {
      console.log(usageOf(host));
      process.exit(0);
    }
    process.exit(await serve(host, options, stop));
  } catch (error) {
    console.error(error instanceof LaunchError ? `${host.command}: ${error.message}` : error);
    process.exit(1);
  }
}

async function serve(host: LocalHost, options: Options, stop: StopSignal): Promise<number> {
  const config = readConfig(options.configFile);
  const folder = await openDataFolder(options.dataFolder, host);
  const address = await claimAddress(options);
  const vars = readDevVars(options.devVarsFile, process.env);
  await buildPublic(project);
  const shutdownToken = crypto.randomUUID();
  const plan = {
    project,
    folder,
    config,
    listenHost: options.host,
    launchId: crypto.randomUUID(),
    secrets: { ...vars, SHUTDOWN_TOKEN: shutdownToken },
    processes: options.processes,
  };
  let runtime = await host.start({ ...plan, address });

  const port = await runtime.listening;
  const stopped = stop.wait();
  const url = toUrl(reachable(options.host), port);
  console.log(`Ready on ${toUrl(options.host, port)}`);
  // Tokens are for the person at a terminal. A file or a collector of logs gets a way to look them up.
  const refer = process.stdout.isTTY ? undefined : referTo({ file: options.devVarsFile, env: process.env });
  console.log(curlLines(url, config, vars, refer).join("\n"));
  await logDescriptors(runtime, demandOf(config));
  for (const missing of missingSecrets(config.auth, vars)) {
    log("warn", "secret_missing", missing);
  }

  for (;;) {
    const cause = await Promise.race([stopped, runtime.ended]);
    if (typeof cause === "string") {
      await shutDown({ signal: cause, runtime, url: runtime.shutdownUrl ?? url, token: shutdownToken });
      return 0;
    }
    log("error", "runtime_ended", { ...cause });
    if (!gaveUp(cause)) {
      return 1;
    }
    await sleep(RESTART_DELAY_MS);
    runtime = await host.start({ ...plan, address: withPort(address, port) });
    await runtime.listening;
    log("warn", "runtime_restarted", { url });
  }
}

/** Long enough that a runtime that keeps failing does not keep a core busy. */
const RESTART_DELAY_MS = 500;

/**
 * workerd exits with 1 when `accept()` fails because all file descriptors are in use (it does not catch
 * "overloaded: accept(): Too many open files"), so a flood of connections ends it. Its clients resume by themselves
 * from a new one. A runtime that was killed by a signal is not restarted: somebody wanted it to end.
 */
const gaveUp = ({ code }: Ended): boolean => code !== null && code !== 0;

/** Subscribers can bring channels into being only where not every name is listed. */
function demandOf({ sse, channels, limits }: Config): Demand {
  const isOpen = channels.allowed.some((name) => name.endsWith("*"));
  return {
    maxConnections: sse.max_connections,
    newChannels: isOpen ? limits.max_unpublished_channels : 0,
  };
}

async function logDescriptors(runtime: Runtime, demand: Demand): Promise<void> {
  const limits = await runtime.descriptors;
  const facts = { limit: limits.soft, hard_limit: limits.hard, needed: descriptorsFor(demand) };
  if (areEnough(limits, demand)) {
    log("info", "descriptors", facts);
  } else {
    const detail =
      "a channel cannot fill up to sse.max_connections: raise the hard limit (ulimit -H -n) or lower that";
    log("warn", "descriptors", { ...facts, detail });
  }
}

function readConfig(file: string): Config {
  const { config, warnings, mistakes } = compileConfigFile(file);
  if (mistakes !== undefined) {
    throw new LaunchError(["the configuration is not valid", ...mistakes.map(formatMistake)].join("\n"));
  }
  for (const warning of warnings) {
    log("warn", "configuration", { detail: formatMistake(warning) });
  }
  return config;
}

/** `npm start | head`, for one, must not take the service down with it. */
function ignoreClosedOutput(): void {
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
}
