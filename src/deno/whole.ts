import { createService } from "../service/router.ts";
import { ProcessHost } from "./host.ts";
import { tellLauncher, type RunningPart, type SecretOf } from "./part.ts";
import { secretsOf, type Settings } from "./settings.ts";

/** The whole service in one process. */
export function runWhole(settings: Settings, secretOf: SecretOf): RunningPart {
  const { hostname, port } = settings;
  const host = new ProcessHost({
    ...settings,
    secrets: secretsOf(settings, secretOf),
    launcherToken: secretOf("SHUTDOWN_TOKEN"),
  });
  const service = createService(host);
  return {
    logger: host.logger,
    doors: [
      {
        hostname,
        port,
        isShared: false,
        opened: tellLauncher,
        answer: (request, peer) => {
          host.received(request, peer);
          return service.fetch(request);
        },
      },
    ],
    graceMs: 0,
    close: () => host.close(),
  };
}
