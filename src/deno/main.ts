/** The service as one process on Deno. The launcher gives it a file of settings, and the secrets in the environment. */
import { readFileSync } from "node:fs";
import process from "node:process";

import { createService } from "../service/router.ts";
import { ProcessHost } from "./host.ts";
import type { Settings } from "./settings.ts";

const settings = JSON.parse(readFileSync(process.argv[2] ?? "", "utf8")) as Settings;
const secretOf = (name: string): string => process.env[`${settings.secretPrefix}${name}`] ?? "";

const host = new ProcessHost({
  ...settings,
  secrets: Object.fromEntries(settings.secrets.map((name) => [name, secretOf(name)])),
  launcherToken: secretOf("SHUTDOWN_TOKEN"),
});
const service = createService(host);

process.on("SIGTERM", () => {
  host.close();
  process.exit(0);
});

Deno.serve(
  {
    hostname: settings.hostname,
    port: settings.port,
    // What the launcher waits for.
    onListen: ({ port }) => console.error(JSON.stringify({ event: "listen", socket: "http", port })),
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
