import type { ClientStream } from "../../../src/hub/audience/client.ts";
import type { Clock } from "../../../src/hub/clock.ts";
import { decodeStream, type Seen } from "./frames.ts";

interface Pending {
  readonly taken: () => void;
  readonly refused: (error: Error) => void;
}

/**
 * The response of a client that a test plays. It takes what it is given at once, or after some time, or not at all
 * while it stalls; it can break, and it can leave.
 */
export class FakeStream implements ClientStream {
  readonly gone: Promise<void>;
  /** Every write in order, taken or not. Not copied: who changes bytes after handing them over is found out. */
  readonly writes: Uint8Array[] = [];
  /** The writes that the peer has. */
  readonly taken: Uint8Array[] = [];
  /** The service has asked for the end. */
  isEnding = false;
  /** The peer has the end. */
  isEnded = false;

  readonly #pending: Pending[] = [];
  #stalled = false;
  #broken: Error | null = null;
  #throws = false;
  #left = false;
  #leave: () => void = () => {};
  #delay: { readonly clock: Clock; readonly ms: number } | null = null;

  constructor() {
    this.gone = new Promise((resolve) => {
      this.#leave = resolve;
    });
  }

  /** What the peer has seen so far. */
  get seen(): Seen {
    return decodeStream(this.taken);
  }

  /** What it was sent, taken or not. */
  get sent(): Seen {
    return decodeStream(this.writes);
  }

  /** Events of publishers that the peer has seen. */
  get ids(): number[] {
    return published(this.seen);
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#throws) {
      throw new TypeError("this stream throws");
    }
    if (this.isEnding) {
      return Promise.reject(new TypeError("this stream was ended"));
    }
    this.writes.push(bytes);
    return this.#accept(() => this.taken.push(bytes));
  }

  end(): Promise<void> {
    this.isEnding = true;
    return this.#accept(() => {
      this.isEnded = true;
    });
  }

  /** Takes every write so long after it was given. */
  takeAfter(clock: Clock, ms: number): void {
    this.#delay = { clock, ms };
  }

  /** Stops reading: what is written stays pending. */
  stall(): void {
    this.#stalled = true;
  }

  /** Reads on, what was pending first. */
  resume(): void {
    this.#stalled = false;
    for (const { taken } of this.#pending.splice(0)) {
      taken();
    }
  }

  /** Refuses every write, as the runtime does once the peer is gone. */
  break(error = new Error("the peer is gone")): void {
    this.#broken = error;
    for (const { refused } of this.#pending.splice(0)) {
      refused(error);
    }
  }

  /** Throws where a promise is expected. */
  throwOnWrite(): void {
    this.#throws = true;
  }

  /** The peer leaves, and the runtime says so. */
  leave(): void {
    if (!this.#left) {
      this.#left = true;
      this.break();
      this.#leave();
    }
  }

  /** The runtime reports that the peer has left, and what is pending stays so: it does not always settle. */
  vanish(): void {
    this.#leave();
  }

  #accept(onTaken: () => void): Promise<void> {
    if (this.#broken !== null) {
      return Promise.reject(this.#broken);
    }
    return new Promise((resolve, reject) => {
      const taken = (): void => {
        onTaken();
        resolve();
      };
      if (!this.#stalled && this.#delay === null && this.#pending.length === 0) {
        taken();
        return;
      }
      const pending = { taken, refused: reject };
      this.#pending.push(pending);
      this.#delay?.clock.after(this.#delay.ms, () => {
        if (!this.#stalled && this.#pending.includes(pending)) {
          for (const due of this.#pending.splice(0, this.#pending.indexOf(pending) + 1)) {
            due.taken();
          }
        }
      });
    });
  }
}

/** The ids of the events of publishers, in the order in which they came. */
function published(seen: Seen): number[] {
  return seen.events.filter(({ type }) => !SERVICE_TYPES.has(type)).map(({ id }) => Number(id));
}

const SERVICE_TYPES: ReadonlySet<string> = new Set(["connected", "gap", "error", "close"]);
