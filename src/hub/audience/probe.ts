import type { Clock } from "../clock.ts";
import type { Heartbeat } from "./heartbeat.ts";

/** How long after a probe the runtime may take to report that a client is dead. */
const REPORT_MS = 250;

/** The shortest time between two probes, however many connects are refused. */
const PAUSE_MS = 1_000;

/**
 * Finds dead clients. The runtime reports some of them only after a write, so a probe sends a heartbeat to the clients
 * that were quiet for a while. The audience removes each client that is reported.
 */
export class Probe {
  readonly #clock: Clock;
  readonly #heartbeat: Heartbeat;
  /** When the clients of an address were last probed, or all clients (null). Entries are dropped after the pause. */
  readonly #probedAt = new Map<string | null, number>();

  constructor(clock: Clock, heartbeat: Heartbeat) {
    this.#clock = clock;
    this.#heartbeat = heartbeat;
  }

  /** Probes all clients, unless the last probe was too recent, and waits for the reports. */
  async findDead(): Promise<void> {
    const waitMs = this.start(null);
    if (waitMs > 0) {
      await new Promise<void>((resolve) => void this.#clock.after(waitMs, resolve));
    }
  }

  /**
   * Probes the clients of an address, or all (null), unless the last probe was too recent. Returns for how many
   * milliseconds reports of the last probe can still come; 0 or less if none will.
   */
  start(address: string | null): number {
    const now = this.#clock.now();
    for (const [probed, at] of this.#probedAt) {
      // If the clock was set back, the probe is due again. Otherwise connects would wait until the old time came round.
      if (now < at || now - at >= PAUSE_MS) {
        this.#probedAt.delete(probed);
      }
    }
    if (!this.#probedAt.has(null) && !this.#probedAt.has(address) && this.#heartbeat.probe(address)) {
      this.#probedAt.set(address, now);
    }
    const never = Number.NEGATIVE_INFINITY;
    const lastAt = Math.max(this.#probedAt.get(null) ?? never, this.#probedAt.get(address) ?? never);
    return lastAt + REPORT_MS - now;
  }
}
