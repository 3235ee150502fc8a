import type { ClientStream } from "../hub/audience/client.ts";

/**
 * A client's response over a TransformStream. Bytes put into it are not held back by the object's output gate: the hub
 * writes only what is durable.
 *
 * Who notices that the peer has left: `request.signal` and `writer.closed`, at once when the peer resets, at the next
 * write when it closes. So the heartbeat is the reaper, and these two are the bell. A peer that stops reading cannot be
 * cut at all: `abort()` and `close()` stay pending until it reads or leaves.
 */
export class TransformClientStream implements ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly gone: Promise<void>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  /** @param signal fires when the runtime notices that the peer has left (flag `enable_request_signal`). */
  constructor(signal: AbortSignal) {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    this.readable = readable;
    this.#writer = writable.getWriter();
    this.gone = new Promise((resolve) => {
      const leave = (): void => resolve();
      this.#writer.closed.catch(leave);
      signal.addEventListener("abort", leave, { once: true });
      if (signal.aborted) {
        leave();
      }
    });
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#writer.write(bytes);
  }

  end(): Promise<void> {
    return this.#writer.close();
  }
}
