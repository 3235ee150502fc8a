import type { Clock } from "../hub/clock.ts";
import { formatRelay } from "../relay/relay-port.ts";

/** How many channels and regions are remembered. */
const CHOICES = 10_000;

/** How long a choice is remembered. Then the first relay is tried again, because relays fill in the order of their numbers. */
const KEPT_MS = 60_000;

interface Choice {
  readonly relay: string;
  readonly until: number;
}

/**
 * Which relay takes the clients of a channel and a region, as this isolate remembers it. A connect therefore costs the hub
 * nothing, unless the relay is full and names another one.
 */
export class RelayChoices {
  readonly #clock: Clock;
  readonly #choices = new Map<string, Choice>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(channel: string, region: string): string {
    const choice = this.#choices.get(`${channel}/${region}`);
    return choice !== undefined && this.#clock.now() < choice.until
      ? choice.relay
      : formatRelay({ region, number: 1 });
  }

  note(channel: string, region: string, relay: string): void {
    const key = `${channel}/${region}`;
    this.#choices.delete(key);
    this.#choices.set(key, { relay, until: this.#clock.now() + KEPT_MS });
    const [oldest] = this.#choices.keys();
    if (this.#choices.size > CHOICES && oldest !== undefined) {
      this.#choices.delete(oldest);
    }
  }
}
