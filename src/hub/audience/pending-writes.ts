import type { Clock } from "../clock.ts";
import type { Page } from "../log/log-view.ts";
import type { Client } from "./client.ts";

/** Stop waiting for a sweep's writes if no client accepts one for this long. */
const PATIENCE_MS = 25;

/** The longest that a sweep waits, even if a client accepts a write now and then. */
const SWEEP_MS = 250;

/** What happens to a write. None of these methods may throw. */
export interface WriteObserver {
  /** The client accepted a write and is idle again. The page is null for a frame of the service. */
  accepted(client: Client, page: Page | null, now: number): void;
  /** The client's stream refused a write. */
  lost(client: Client): void;
}

/**
 * The writes that clients have not accepted yet, one per client at most. A sweep waits for the writes that it makes. A
 * client that accepts its write too late counts as late: sweeps do not wait for it until it accepts a write in time
 * again.
 */
export class PendingWrites {
  readonly #clock: Clock;
  readonly #observer: WriteObserver;
  readonly #onIdle: (client: Client) => void;
  /** The number of the current sweep, or of the last one. The first sweep is number 1. */
  #sweep = 0;
  #isSweeping = false;
  #awaited = 0;
  #allAccepted: () => void = () => {};

  /** @param onIdle called after a client has accepted its write */
  constructor(clock: Clock, observer: WriteObserver, onIdle: (client: Client) => void) {
    this.#clock = clock;
    this.#observer = observer;
    this.#onIdle = onIdle;
  }

  /** Whether sweeps are running. */
  get isSweeping(): boolean {
    return this.#isSweeping;
  }

  /** How many writes the current sweep waits for. */
  get awaited(): number {
    return this.#awaited;
  }

  beginSweep(): void {
    this.#isSweeping = true;
    this.#sweep++;
    this.#awaited = 0;
  }

  /** Call it when no sweep follows. */
  endSweeps(): void {
    this.#isSweeping = false;
  }

  /**
   * Gives bytes to an idle client.
   *
   * @param page the page that the bytes are; null for a frame of the service. Sweeps wait for pages only.
   */
  write(client: Client, bytes: Uint8Array, page: Page | null, now: number): void {
    client.pendingSince = now;
    client.writtenAt = now;
    if (page !== null && !client.isLate && !client.isFetching) {
      client.awaitedBy = this.#sweep;
      this.#awaited++;
    }
    const sweep = this.#sweep;
    hand(client, bytes).then(
      () => this.#onAccepted(client, sweep, page),
      () => this.#observer.lost(client),
    );
  }

  /** Stops waiting for a client that has left. */
  forget(client: Client): void {
    this.#settle(client);
  }

  /** Resolves when the sweep has nothing to wait for. The clients that it gives up on are late from then on. */
  async awaitSweep(clients: Iterable<Client>, startedAt: number): Promise<void> {
    while (this.#awaited > 0) {
      const before = this.#awaited;
      if (await this.#allAcceptedInTime()) {
        return;
      }
      // The hub itself may have been held up. Writes that were accepted meanwhile are reported in this turn.
      await this.#clock.turn();
      if (this.#awaited === before || this.#clock.now() - startedAt >= SWEEP_MS) {
        this.#giveUpOnTheLate(clients);
        return;
      }
    }
  }

  #onAccepted(client: Client, sweep: number, page: Page | null): void {
    const now = this.#clock.now();
    const isPrompt = now - (client.pendingSince ?? now) <= PATIENCE_MS;
    client.isLate &&= !isPrompt && !(this.#isSweeping && sweep === this.#sweep);
    client.pendingSince = null;
    if (page !== null) {
      client.lastEventAt = now;
      client.eventsSent += page.events;
    }
    this.#observer.accepted(client, page, now);
    this.#settle(client);
    this.#onIdle(client);
  }

  #settle(client: Client): void {
    if (client.awaitedBy === this.#sweep) {
      client.awaitedBy = 0;
      this.#awaited--;
      if (this.#awaited === 0) {
        this.#allAccepted();
      }
    }
  }

  #allAcceptedInTime(): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(PATIENCE_MS, () => resolve(false));
      this.#allAccepted = () => {
        cancel();
        resolve(true);
      };
    });
  }

  #giveUpOnTheLate(clients: Iterable<Client>): void {
    for (const client of clients) {
      client.isLate ||= client.awaitedBy === this.#sweep;
    }
  }
}

/** Turns a stream that throws into one that rejects: it must harm only its own client. */
function hand(client: Client, bytes: Uint8Array): Promise<void> {
  try {
    return client.stream.write(bytes);
  } catch (error) {
    return Promise.reject(error);
  }
}
