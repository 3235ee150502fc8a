/** The service as one process on Deno. The launcher gives it a file of settings, and the secrets in the environment. */
import { readFileSync } from "node:fs";
import process from "node:process";

import { createService } from "../service/router.ts";
import { ProcessHost } from "./host.ts";
import type { Settings } from "./settings.ts";

/** How long to wait before listening again. */
const LISTEN_AGAIN_MS = 100;

const settings = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Settings;
const secretOf = (name: string): string => process.env[`${settings.secretPrefix}${name}`] ?? "";

const host = new ProcessHost({
  ...settings,
  secrets: Object.fromEntries(settings.secrets.map((name) => [name, secretOf(name)])),
  launcherToken: secretOf("SHUTDOWN_TOKEN"),
});
const service = createService(host);

// A failure in a timer of one channel, or in a write that nobody awaits, must not end the process.
for (const event of ["uncaughtException", "unhandledRejection"] as const) {
  process.on(event, (error: unknown) => host.logger("error", "unexpected", { error: String(error) }));
}

process.on("SIGTERM", () => {
  host.close();
  process.exit(0);
});

try {
  // The launcher waits for this line.
  listen(settings.port, (port) => console.error(JSON.stringify({ event: "listen", socket: "http", port })));
} catch (error) {
  console.error(String(error));
  process.exit(1);
}

/**
 * Listens until the process ends. If no file descriptor is left for a connection, Deno stops listening and serves only the
 * connections that it has. A client must not end the service by opening more connections than there are descriptors.
 */
function listen(port: number, onListen: (port: number) => void): void {
  const { addr, finished } = Deno.serve(
    {
      hostname: settings.hostname,
      port,
      onListen: (address) => onListen(address.port),
      onError: (error) => {
        host.logger("error", "request_failed", { error: String(error) });
        return new Response(null, { status: 500 });
      },
    },
    (request, { remoteAddr }) => {
      host.received(request, remoteAddr.hostname);
      return service.fetch(request);
    },
  );
  finished.catch((error: unknown) => listenAgain(addr.port, error));
}

function listenAgain(port: number, error: unknown): void {
  host.logger("error", "listen_interrupted", { error: String(error) });
  setTimeout(() => {
    try {
      listen(port, () => {});
    } catch (failure) {
      listenAgain(port, failure);
    }
  }, LISTEN_AGAIN_MS);
}
