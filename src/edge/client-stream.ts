import type { ClientStream } from "../hub/audience/client.ts";

/**
 * The response of a client over a TransformStream. The object's output gate does not hold its bytes back, so the hub must
 * write nothing that is not durable.
 *
 * `request.signal` and `writer.closed` report that the peer has left: at once if it resets the connection, and at the next
 * write if it closes the connection. That write is a heartbeat at the latest. A peer that stops reading cannot be cut off,
 * because `abort()` and `close()` stay pending until it reads or leaves.
 */
export class TransformClientStream implements ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly gone: Promise<void>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  /** @param signal fires when the runtime notices that the peer has left; needs the flag `enable_request_signal` */
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
