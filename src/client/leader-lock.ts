import type { Locks } from "./environment.ts";

export interface LeaderLockPort {
  /** This tab holds the lock. */
  onHeld(): void;
  /** Another tab stole the lock, from this tab or from the one that held it. */
  onTaken(): void;
  /** The browser refuses locks, for example in a page with an opaque origin. */
  onUnavailable(): void;
}

/** The lock that the leading tab holds, and the place of this tab in the queue for it. */
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

  /** Waits for the lock. */
  queue(): void {
    const place = this.#takePlace();
    this.#request({ signal: place.signal }, place);
  }

  /** Takes the lock from the tab that holds it. */
  steal(): void {
    this.#request({ steal: true }, this.#takePlace());
  }

  release(): void {
    this.#letGo?.();
    this.#letGo = undefined;
  }

  /** Releases the lock and leaves the queue. */
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
