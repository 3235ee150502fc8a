import process from "node:process";

import { createService } from "../service/router.ts";
import { processClock as clock } from "./clock.ts";
import { followLauncher } from "./launcher-notices.ts";
import { OrdererLink } from "./orderer-link.ts";
import { tellLauncher, type RunningPart, type SecretOf } from "./part.ts";
import { Registration } from "./registration.ts";
import { LOOPBACK } from "./rpc/call.ts";
import { offeredByServing, remoteProcesses } from "./rpc/ports.ts";
import { createRpcServer } from "./rpc/server.ts";
import { ServingHost } from "./serving-host.ts";
import { secretsOf, type Settings } from "./settings.ts";

/** Less than the launcher allows between SIGTERM and SIGKILL. */
const GRACE_MS = 300;

/** One of the processes that share the port and serve the clients. */
export function runServing(settings: Settings, secretOf: SecretOf): RunningPart {
  const { hostname, port, number } = settings;
  const orderer = new OrdererLink({ clock, fetch });
  const host = new ServingHost({ ...settings, secrets: secretsOf(settings, secretOf) }, orderer);
  const service = createService(host);
  const token = secretOf("RPC_TOKEN");
  const answerCall = createRpcServer({
    token,
    ports: offeredByServing((channel) => host.relays.port(channel)),
    logger: host.logger,
    refusalOf: (failure) => host.refusalOf(failure),
  });
  const listenToLauncher = (rpcPort: number): void => {
    const processes = remoteProcesses(orderer);
    const register = () => processes.register(number, { port: rpcPort, token });
    const registration = new Registration(register, clock, host.logger);
    void followLauncher(process.stdin, (address) => {
      orderer.moved(address);
      registration.moved(address);
    });
  };
  return {
    logger: host.logger,
    doors: [
      { hostname: LOOPBACK, port: 0, isShared: false, opened: listenToLauncher, answer: answerCall },
      {
        hostname,
        port,
        isShared: true,
        opened: tellLauncher,
        answer: (request, peer) => {
          host.received(request, peer);
          return service.fetch(request);
        },
      },
    ],
    graceMs: GRACE_MS,
    close: () => {},
  };
}
