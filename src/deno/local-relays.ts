import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { RelayPort } from "../relay/relay-port.ts";
import { LocalRelay, type RelayPlace } from "./local-relay.ts";

/** The relays of a serving process: one for each channel of which it has clients. */
export class LocalRelays {
  readonly #place: RelayPlace;
  readonly #relays = new Map<string, LocalRelay>();

  constructor(place: RelayPlace) {
    this.#place = place;
  }

  /** @throws HubError as `Relay.connect` */
  connect(channel: string, request: ConnectRequest): Promise<Response> {
    const relay = this.#relays.get(channel) ?? this.#create(channel);
    this.#relays.set(channel, relay);
    return relay.connect(request);
  }

  /** The relay of a channel as the orderer reaches it. If there is none, a new one answers, whose life nobody knows. */
  port(channel: string): RelayPort {
    return (this.#relays.get(channel) ?? this.#create(channel)).port;
  }

  #create(channel: string): LocalRelay {
    const relay = new LocalRelay(channel, this.#place, () => {
      if (this.#relays.get(channel) === relay) {
        this.#relays.delete(channel);
      }
    });
    return relay;
  }
}
