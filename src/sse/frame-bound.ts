const LF = 10;
const CR = 13;

/** The largest frame. The service sends at most 64 KiB. */
const LONGEST_FRAME_BYTES = 1024 * 1024;

export interface Measured {
  /** How many bytes of the chunk are within the bound. Fewer than its length if a frame is too large. */
  readonly within: number;
  /** Whether a frame ended in the chunk. */
  readonly ended: boolean;
}

/**
 * Counts the bytes of each frame. The parser bounds its buffer, but it skips comments and unknown fields without
 * counting them, so an endless line would be read forever.
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
