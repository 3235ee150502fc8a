import type { Locks } from "./environment.ts";

export interface LeaderLockPort {
  /** It is ours. */
  onHeld(): void;
  /** Another tab has stolen it, from us or from who was before us. */
  onTaken(): void;
  /** There are no locks to be had here. */
  onUnavailable(): void;
}

/** The lock that the tab which leads holds, and our place in the queue for it. */
export class LeaderLock {
  readonly #locks: Locks;
  readonly #name: string;
  readonly #port: LeaderLockPort;
  #place: AbortController | undefined;
  #letGo: (() => void) | undefined;

  constructor(locks: Locks, name: string, port: LeaderLockPort) {
    this.#locks = locks;
    this.#name = name;
    this.#port = port;
  }

  /** Gets it when nobody else holds it. */
  queue(): void {
    const place = this.#takePlace();
    this.#request({ signal: place.signal }, place);
  }

  /** Gets it at once, whoever holds it. */
  steal(): void {
    this.#request({ steal: true }, this.#takePlace());
  }

  /** Lets go of it, if it is ours. */
  release(): void {
    this.#letGo?.();
    this.#letGo = undefined;
  }

  /** Lets go of it, and does not want it any more. */
  leave(): void {
    this.release();
    this.#place?.abort();
    this.#place = undefined;
  }

  #takePlace(): AbortController {
    this.#place?.abort();
    this.#place = new AbortController();
    return this.#place;
  }

  #request(how: { steal: true } | { signal: AbortSignal }, place: AbortController): void {
    const hold = (): Promise<void> =>
      new Promise((letGo) => {
        if (place.signal.aborted) {
          letGo();
        } else {
          this.#letGo = letGo;
          this.#port.onHeld();
        }
      });
    this.#locks.request(this.#name, how, hold).catch((error: unknown) => {
      if (place !== this.#place) {
        return;
      }
      if (this.#letGo !== undefined || isAbort(error)) {
        this.#port.onTaken();
      } else {
        this.#port.onUnavailable();
      }
    });
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
