import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import { parseRelay } from "../relay/relay-port.ts";
import { openStream, relayObjectName, streamRequest, type RelayRpc } from "./objects.ts";
import { placeOf } from "./region.ts";
import { RelayChoices } from "./relay-choices.ts";

/** How many relays are tried for one client. */
const TRIES = 4;

/** Brings clients to the relays of their region. A relay that has no place for a client names the next one to try. */
export class RelayConnects {
  readonly #relays: DurableObjectNamespace<RelayRpc>;
  readonly #choices: RelayChoices;

  constructor(relays: DurableObjectNamespace<RelayRpc>, clock: Clock) {
    this.#relays = relays;
    this.#choices = new RelayChoices(clock);
  }

  /** @throws HubError `limit` if no relay has a place, and what a relay refuses */
  async connect(channel: string, region: string, request: ConnectRequest): Promise<Response> {
    let relay = this.#choices.of(channel, region);
    for (let tries = 0; tries < TRIES; tries++) {
      try {
        return await openStream(this.#stub(channel, relay), streamRequest(request));
      } catch (error) {
        if (!(error instanceof HubError && error.code === "relay_full")) {
          throw error;
        }
        relay = error.next ?? relay;
        this.#choices.note(channel, region, relay);
      }
    }
    throw new HubError("limit", "All connections of this channel are in use.");
  }

  #stub(channel: string, relay: string): DurableObjectStub<RelayRpc> {
    const { region } = parseRelay(relay);
    return this.#relays.get(this.#relays.idFromName(relayObjectName(channel, relay)), placeOf(region));
  }
}
