import type { RelayPort } from "../relay/relay-port.ts";
import { unwrap, type Answer } from "../service/answer.ts";
import type { RelayRpc } from "./objects.ts";

/** The port to a relay. */
export function relayPort(relay: DurableObjectStub<RelayRpc>): RelayPort {
  return {
    report: () => ask(relay.report()),
    clients: (page) => ask(relay.clients(page)),
    kick: (clientId) => ask(relay.kick(clientId)),
    findDead: () => ask(relay.findDead()),
    end: (reason) => ask(relay.end(reason)),
    settled: () => ask(relay.settled()),
    recall: (version) => ask(relay.recall(version)),
  };
}

async function ask<Value>(answer: Promise<Answer<Value>>): Promise<Value> {
  return unwrap(await answer);
}
