/**
 * A process of the service on Deno: the whole service, or a part of it. The launcher gives it a file of settings, and the
 * secrets in the environment.
 */
import { readFileSync } from "node:fs";
import process from "node:process";

import { runOrderer } from "./orderer.ts";
import type { Door, RunningPart, SecretOf } from "./part.ts";
import { runServing } from "./serving.ts";
import type { Part, Settings } from "./settings.ts";
import { runWhole } from "./whole.ts";

/** How long to wait before listening again. */
const LISTEN_AGAIN_MS = 100;

const PARTS: Readonly<Record<Part, (settings: Settings, secretOf: SecretOf) => RunningPart>> = {
  whole: runWhole,
  orderer: runOrderer,
  serving: runServing,
};

const settings = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Settings;
const secretOf: SecretOf = (name) => process.env[`${settings.secretPrefix}${name}`] ?? "";
const part = PARTS[settings.part](settings, secretOf);
const servers = new Map<Door, ReturnType<typeof Deno.serve>>();

// A failure in a timer of one channel, or in a write that nobody awaits, must not end the process.
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => part.logger("error", "unexpected", { error: String(error) }));
}

process.on("SIGTERM", () => void end());

try {
  for (const door of part.doors) {
    listen(door, door.port, (port) => door.opened(port));
  }
} catch (error) {
  console.error(String(error));
  process.exit(1);
}

async function end(): Promise<void> {
  if (part.graceMs > 0) {
    const ended = Promise.all([...servers.values()].map((server) => server.shutdown()));
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, part.graceMs))]);
  }
  part.close();
  process.exit(0);
}

/**
 * Listens until the process ends. If no file descriptor is left for a connection, Deno stops listening and serves only the
 * connections that it has. A client must not end the service by opening more connections than there are descriptors.
 */
function listen(door: Door, port: number, onListen: (port: number) => void): void {
  const server = Deno.serve(
    {
      hostname: door.hostname,
      port,
      reusePort: door.isShared,
      onListen: (address) => onListen(address.port),
      onError: (error) => {
        part.logger("error", "request_failed", { error: String(error) });
        return new Response(null, { status: 500 });
      },
    },
    (request, { remoteAddr }) => door.answer(request, remoteAddr.hostname),
  );
  servers.set(door, server);
  server.finished.catch((error: unknown) => listenAgain(door, server.addr.port, error));
}

function listenAgain(door: Door, port: number, error: unknown): void {
  part.logger("error", "listen_interrupted", { error: String(error) });
  setTimeout(() => {
    try {
      listen(door, port, () => {});
    } catch (failure) {
      listenAgain(door, port, failure);
    }
  }, LISTEN_AGAIN_MS);
}
