const LF = 10;
const CR = 13;

/** Takes the bytes of one read and reports where the data in them begins and ends. */
export type Unchunk = (
  bytes: Buffer,
  start: number,
  end: number,
  onData: (from: number, to: number) => void,
) => void;

/**
 * Decodes chunked bodies (RFC 9112, section 7.1): size in hex, CRLF, data, CRLF. A read may end anywhere in between.
 */
export function createUnchunk(): Unchunk {
  let state: "size" | "extension" | "data" | "after" = "size";
  let size = 0;
  return (bytes, start, end, onData) => {
    let at = start;
    while (at < end) {
      if (state === "data") {
        const to = Math.min(end, at + size);
        onData(at, to);
        size -= to - at;
        at = to;
        state = size === 0 ? "after" : "data";
        continue;
      }
      const byte = bytes[at++] ?? 0;
      if (byte === LF) {
        state = size > 0 ? "data" : "size";
      } else if (state === "size" && byte !== CR) {
        const digit = Number.parseInt(String.fromCharCode(byte), 16);
        if (Number.isNaN(digit)) {
          state = "extension";
        } else {
          size = size * 16 + digit;
        }
      }
    }
  };
}
