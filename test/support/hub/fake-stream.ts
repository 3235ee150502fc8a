import type { ClientStream } from "../../../src/hub/audience/client.ts";
import type { Clock } from "../../../src/hub/clock.ts";
import { decodeStream, type Seen } from "./frames.ts";

interface Pending {
  readonly taken: () => void;
  readonly refused: (error: Error) => void;
}

/**
 * The response of a client that a test controls. It accepts writes at once, after some time, or not at all while it
 * stalls. It can break, and its peer can leave.
 */
export class FakeStream implements ClientStream {
  readonly gone: Promise<void>;
  /** Every write in order, accepted or not. Not copied, so that a test notices if the bytes are changed after the write. */
  readonly writes: Uint8Array[] = [];
  /** The writes that the peer has accepted. */
  readonly taken: Uint8Array[] = [];
  /** Whether the service has ended the stream. */
  isEnding = false;
  /** Whether the peer has accepted the end. */
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

  /** The decoded writes that the peer has accepted. */
  get seen(): Seen {
    return decodeStream(this.taken);
  }

  /** The decoded writes, accepted or not. */
  get sent(): Seen {
    return decodeStream(this.writes);
  }

  /** The ids of published events that the peer has accepted. */
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

  /** Accepts every write after this time. */
  takeAfter(clock: Clock, ms: number): void {
    this.#delay = { clock, ms };
  }

  /** Stops reading, so that writes stay pending. */
  stall(): void {
    this.#stalled = true;
  }

  /** Reads again, starting with the pending write. */
  resume(): void {
    this.#stalled = false;
    for (const { taken } of this.#pending.splice(0)) {
      taken();
    }
  }

  /** Refuses every write, like the runtime after the peer has left. */
  break(error = new Error("the peer is gone")): void {
    this.#broken = error;
    for (const { refused } of this.#pending.splice(0)) {
      refused(error);
    }
  }

  /** Throws instead of returning a promise. */
  throwOnWrite(): void {
    this.#throws = true;
  }

  /** The peer leaves, and the runtime reports it. */
  leave(): void {
    if (!this.#left) {
      this.#left = true;
      this.break();
      this.#leave();
    }
  }

  /** The runtime reports that the peer has left, but a pending write never settles, as it sometimes happens. */
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

/** The ids of published events, in the order of their arrival. */
function published(seen: Seen): number[] {
  return seen.events.filter(({ type }) => !SERVICE_TYPES.has(type)).map(({ id }) => Number(id));
}

const SERVICE_TYPES: ReadonlySet<string> = new Set(["connected", "gap", "error", "close"]);
