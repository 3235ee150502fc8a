import { parseRelay } from "../relay/relay-port.ts";
import { createService } from "../service/router.ts";
import { processClock as clock } from "./clock.ts";
import { ProcessHost } from "./host.ts";
import { localRelay } from "./local-relay.ts";
import { tellLauncher, type RunningPart, type SecretOf } from "./part.ts";
import { LOOPBACK } from "./rpc/call.ts";
import { offeredByOrderer, remoteRelay } from "./rpc/ports.ts";
import { createRpcServer } from "./rpc/server.ts";
import { ServingProcesses } from "./serving-processes.ts";
import type { Settings } from "./settings.ts";

/** The only path of the service that the orderer serves itself: the launcher shuts down all processes there. */
const SHUTDOWN_PATH = "/api/admin/shutdown";

/** The process that has the hubs, the directory, the tickets and all files. Only the other processes can reach it. */
export function runOrderer(settings: Settings, secretOf: SecretOf): RunningPart {
  const launcherToken = secretOf("SHUTDOWN_TOKEN");
  const processes = new ServingProcesses({ clock, fetch }, (number) => {
    void host.hubs.verifyRelay(localRelay(number));
  });
  const host: ProcessHost = new ProcessHost({
    ...settings,
    listenHost: LOOPBACK,
    secrets: {},
    launcherToken,
    relay: (channel, relay) => remoteRelay(processes.of(parseRelay(relay).number), channel),
  });
  const service = createService(host);
  const answerCall = createRpcServer({
    token: secretOf("RPC_TOKEN"),
    ports: offeredByOrderer({ ...portsOf(host), processes }),
    logger: host.logger,
    refusalOf: (failure) => host.refusalOf(failure),
  });
  return {
    logger: host.logger,
    doors: [
      {
        hostname: LOOPBACK,
        port: 0,
        isShared: false,
        opened: tellLauncher,
        answer: (request, peer) => {
          host.received(request, peer);
          const isShutdown = new URL(request.url).pathname === SHUTDOWN_PATH;
          return isShutdown ? service.fetch(request) : answerCall(request);
        },
      },
    ],
    graceMs: 0,
    close: () => host.close(),
  };
}

function portsOf({ hubs, directory, tickets }: ProcessHost) {
  return { hubs, directory, tickets };
}
