import type { ClientStream } from "../hub/audience/client.ts";

/**
 * A client's response as a stream from which the socket pulls. A write counts as taken when the socket asks for the next
 * one, so sweeps follow the speed of each client. The runtime cancels the stream as soon as the peer leaves.
 */
export class PulledClientStream implements ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly gone: Promise<void>;
  readonly #gone = Promise.withResolvers<void>();
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  /** Whether the socket waits for bytes. */
  #isAsked = false;
  /** Whether the stream was ended, or its peer has left. */
  #isOver = false;
  /** Writes that wait until the socket asks for them. */
  #untaken = Promise.withResolvers<void>();

  constructor() {
    this.gone = this.#gone.promise;
    this.#untaken.promise.catch(() => {});
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#take(),
        cancel: () => this.#leave(),
      },
      // Without a buffer of its own, the stream is pulled only when the socket has sent its last bytes.
      { highWaterMark: 0 },
    );
  }

  write(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) {
      return Promise.reject(peerHasLeft());
    }
    this.#isAsked = false;
    this.#controller?.enqueue(bytes);
    return this.#untaken.promise;
  }

  async end(): Promise<void> {
    if (!this.#isAsked) {
      await this.#untaken.promise.catch(() => {});
    }
    if (!this.#isOver) {
      this.#finish();
      this.#controller?.close();
    }
  }

  #take(): void {
    this.#isAsked = true;
    const taken = this.#untaken;
    this.#untaken = Promise.withResolvers<void>();
    this.#untaken.promise.catch(() => {});
    taken.resolve();
  }

  #leave(): void {
    this.#finish();
    this.#gone.resolve();
  }

  #finish(): void {
    this.#isOver = true;
    this.#untaken.reject(peerHasLeft());
  }
}

function peerHasLeft(): Error {
  return new Error("the peer has left");
}
