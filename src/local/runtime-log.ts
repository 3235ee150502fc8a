import { createInterface } from "node:readline";
import { Transform, type Readable } from "node:stream";

import { log } from "./log.ts";

/** How long lines that are alike are summed up after the first of them. */
const WINDOW_MS = 10_000;

/** Different messages that are told apart in a window: clients may have found a way to vary theirs. */
const MAX_KINDS = 20;

/** Characters of a message that are shown. */
const MAX_MESSAGE_LENGTH = 500;

/** Bytes of a line that are kept: a client may have found a way to have one printed that never ends. */
const MAX_LINE_BYTES = 4096;

/** All messages beyond `MAX_KINDS`. */
const OTHERS = "other messages of the runtime";

export interface RuntimeLogOptions {
  /** @default 10,000 */
  readonly windowMs?: number;
  readonly write?: (message: string, count: number) => void;
}

/**
 * What the runtime itself prints, as lines of the log. Anonymous clients can make it print one for each request, so
 * the first of a kind is written at once, and those alike of the next 10 s are one line with a count. At most 21 kinds
 * are told apart, so that a flood writes 42 lines in 10 s, whatever it sends.
 */
export class RuntimeLog {
  readonly #windowMs: number;
  readonly #write: (message: string, count: number) => void;
  /** The last message of each kind, and how many of them have not been written. */
  readonly #kinds = new Map<string, { message: string; unwritten: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ windowMs = WINDOW_MS, write = writeLine }: RuntimeLogOptions = {}) {
    this.#windowMs = windowMs;
    this.#write = write;
  }

  /**
   * Reads to the end of the stream, then writes what is still to be written.
   *
   * @param isForOthers takes lines that are no messages of the runtime
   */
  async follow(output: Readable, isForOthers: (line: string) => boolean = () => false): Promise<void> {
    for await (const line of createInterface({ input: output.pipe(cutLines()) })) {
      if (!isForOthers(line)) {
        this.add(line);
      }
    }
    this.flush();
  }

  add(line: string): void {
    const text = line.trim().slice(0, MAX_MESSAGE_LENGTH);
    if (text === "") {
      return;
    }
    const own = kindOf(text);
    const isOther = !this.#kinds.has(own) && this.#kinds.size >= MAX_KINDS;
    const [kind, message] = isOther ? [OTHERS, OTHERS] : [own, text];
    const known = this.#kinds.get(kind);
    if (known === undefined) {
      this.#kinds.set(kind, { message, unwritten: 0 });
      this.#write(message, 1);
    } else {
      known.message = message;
      known.unwritten++;
    }
    this.#timer ??= setTimeout(() => this.flush(), this.#windowMs).unref();
  }

  /** Writes the sums, and begins a new window. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const kinds = [...this.#kinds.values()];
    this.#kinds.clear();
    for (const { message, unwritten } of kinds) {
      if (unwritten > 0) {
        this.#write(message, unwritten);
      }
    }
  }
}

/** Messages that differ in quoted text, numbers and addresses alone are of one kind. */
function kindOf(message: string): string {
  return message
    .replaceAll(/"[^"]*"|'[^']*'/g, "#")
    .replaceAll(/\w+/g, (word) => (/\d/.test(word) ? "#" : word));
}

/** Lets through the first bytes of every line. */
function cutLines(): Transform {
  let length = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const kept: Buffer[] = [];
      let start = 0;
      while (start < chunk.length) {
        const newline = chunk.indexOf(0x0a, start);
        const end = newline === -1 ? chunk.length : newline;
        kept.push(chunk.subarray(start, Math.min(end, start + Math.max(0, MAX_LINE_BYTES - length))));
        length += end - start;
        if (newline !== -1) {
          kept.push(NEWLINE);
          length = 0;
        }
        start = end + 1;
      }
      done(null, Buffer.concat(kept));
    },
  });
}

const NEWLINE = Buffer.from("\n");

function writeLine(message: string, count: number): void {
  log("warn", "runtime_message", { message, count });
}
