import type { ClientStream } from "./client.ts";
import type { Clock } from "../clock.ts";

/**
 * The streams that the service has ended and whose peers have not accepted the end yet. The runtime cannot disconnect a
 * peer that never reads: its stream lingers until it reads or leaves. Lingering streams are counted and bounded.
 */
export class Departures {
  readonly #leaving = new Set<ClientStream>();
  readonly #waiting = new Set<() => void>();

  /** How many streams linger. */
  get size(): number {
    return this.#leaving.size;
  }

  /** Sends the last bytes and ends the stream. The stream lingers until its peer accepts the end. */
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

  /** Resolves when no stream lingers, or after this time. */
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
