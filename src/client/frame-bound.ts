const LF = 10;
const CR = 13;

/** Bytes of one frame: several times what the service lets through. */
const LONGEST_FRAME_BYTES = 1024 * 1024;

/** What one chunk of a stream does to the frame that it belongs to. */
export interface Measured {
  /** How many of its bytes stay within the bound; fewer than it has when a frame is too large. */
  readonly within: number;
  /** Whether a frame ends in it. */
  readonly ended: boolean;
}

/**
 * Counts the bytes of each frame, whatever they are. A parser skips comments and unknown fields without counting them, so
 * a line without end would be read for ever.
 */
export class FrameBound {
  #lineBytes = 0;
  #frameBytes = 0;
  #lastByte = 0;

  measure(chunk: Uint8Array): Measured {
    let ended = false;
    let within = 0;
    for (const byte of chunk) {
      const isLineEnd = byte === CR || (byte === LF && this.#lastByte !== CR);
      this.#lastByte = byte;
      this.#frameBytes += 1;
      if (isLineEnd && this.#lineBytes === 0) {
        ended = true;
        this.#frameBytes = 0;
      } else if (this.#frameBytes > LONGEST_FRAME_BYTES) {
        return { within, ended };
      }
      this.#lineBytes = isLineEnd || byte === LF ? 0 : this.#lineBytes + 1;
      within += 1;
    }
    return { within, ended };
  }
}
