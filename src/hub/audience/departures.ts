import type { ClientStream } from "./client.ts";
import type { Clock } from "../clock.ts";

/**
 * Streams that the service has ended and whose peers have not taken the end yet. A peer that never reads cannot be cut
 * by the runtime: it lingers until it reads or leaves, so such streams are counted, and their number is bounded.
 */
export class Departures {
  readonly #leaving = new Set<ClientStream>();
  readonly #waiting = new Set<() => void>();

  /** How many linger. */
  get size(): number {
    return this.#leaving.size;
  }

  /** Sends the last bytes and ends the stream, however long its peer takes. */
  end(stream: ClientStream, lastBytes: Uint8Array): void {
    this.#leaving.add(stream);
    const gone = (): void => {
      this.#leaving.delete(stream);
      if (this.#leaving.size === 0) {
        this.#waiting.forEach((resolve) => resolve());
      }
    };
    stream.write(lastBytes).catch(() => {});
    stream.end().then(gone, gone);
    void stream.gone.then(gone);
  }

  /** Waits until nobody lingers, but not longer than this. */
  async settled(clock: Clock, withinMs: number): Promise<void> {
    if (this.#leaving.size === 0) {
      return;
    }
    await new Promise<void>((resolve) => {
      const done = (): void => {
        cancel();
        this.#waiting.delete(done);
        resolve();
      };
      const cancel = clock.after(withinMs, done);
      this.#waiting.add(done);
    });
  }
}
