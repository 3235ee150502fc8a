import { requireRelays, startService } from "../service.ts";
import { CHANNEL, CLIENTS, fanOutRow } from "./fan-out.ts";

const RELAYS = 4;

/** Four relays against one object that holds the same clients itself. */
export const relayFanOut = fanOutRow(
  {
    name: "relay-fan-out",
    title: `saturated fan-out, ${CLIENTS} clients on ${RELAYS} relays`,
    hosts: ["workerd"],
  },
  async (cleanup, host) => ({
    ...(await startService(cleanup, { host, clientsPerObject: CLIENTS / RELAYS })),
    name: `${RELAYS} relays`,
  }),
  [
    {
      start: async (cleanup, host) => ({ ...(await startService(cleanup, { host })), name: "one object" }),
      bounds: { workerd: { is: "at least", must: 0.85, aim: 0.95 } },
    },
  ],
  (host) => requireRelays(host, CHANNEL, RELAYS),
);
