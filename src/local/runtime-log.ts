import { createInterface } from "node:readline";
import { Transform, type Readable } from "node:stream";

import { log } from "./log.ts";

/** How long similar messages are counted after the first one. */
const WINDOW_MS = 10_000;

/** The most kinds of messages in a window: clients may have found a way to vary messages. */
const MAX_KINDS = 20;

/** The most characters of a message that are logged. */
const MAX_MESSAGE_LENGTH = 500;

/** The most bytes of a line that are kept: a client may have found a way to cause an endless line. */
const MAX_LINE_BYTES = 4096;

/** The kind of all messages beyond `MAX_KINDS`. */
const OTHERS = "other messages of the runtime";

export interface RuntimeLogOptions {
  /** @default 10,000 */
  readonly windowMs?: number;
  readonly write?: (message: string, count: number) => void;
}

/**
 * Logs the output of the runtime. Anonymous clients can make the runtime print a line for each request. So the first
 * message of a kind is logged at once, and similar ones of the next 10 s are logged as one line with a count. There
 * are at most 21 kinds, so no flood causes more than 42 lines in 10 s.
 */
export class RuntimeLog {
  readonly #windowMs: number;
  readonly #write: (message: string, count: number) => void;
  /** The last message of each kind, and how many messages of that kind are not logged yet. */
  readonly #kinds = new Map<string, { message: string; unwritten: number }>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ windowMs = WINDOW_MS, write = writeLine }: RuntimeLogOptions = {}) {
    this.#windowMs = windowMs;
    this.#write = write;
  }

  /**
   * Reads the stream to its end, then logs the remaining counts.
   *
   * @param isForOthers takes the lines that are not messages of the runtime
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

  /** Logs the counts and begins a new window. */
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

/** Messages that differ only in quoted text, numbers and addresses are of the same kind. */
function kindOf(message: string): string {
  return message
    .replaceAll(/"[^"]*"|'[^']*'/g, "#")
    .replaceAll(/\w+/g, (word) => (/\d/.test(word) ? "#" : word));
}

/** Cuts each line after `MAX_LINE_BYTES`. */
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
