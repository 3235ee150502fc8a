import { createDecoder, type Frame } from "../sse/decode.ts";
import { memberOf, parseData } from "./decode.ts";
import type { Environment } from "./environment.ts";
import { SSEProblem, toProblem } from "./problem.ts";
import { discard, readRefusal } from "./refusal.ts";
import { Watchdog } from "./watchdog.ts";

/**
 * How long an attempt may take until its first event, including the waits for a token and a ticket. Other bytes do not
 * extend it: otherwise a server that sends spaces forever would hold the client in `connecting`.
 */
const OPEN_DEADLINE_MS = 15_000;

/**
 * How long a frame may take to arrive. Otherwise a server that sends a byte now and then, and never ends a frame, would
 * keep the watchdog quiet forever.
 */
const FRAME_DEADLINE_MS = 120_000;

export interface StreamRequest {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly credentials: "include" | undefined;
}

export interface ConnectionPort {
  readonly environment: Environment;
  /** The watchdog fires after this many heartbeat intervals of silence. Undefined: there is no watchdog. */
  readonly watchdogIntervals: number | undefined;
  request(signal: AbortSignal): Promise<StreamRequest>;
  /** Called once the service has accepted the client, before its first frame. */
  onOpen(connection: Connection): void;
  onFrame(frame: Frame, connection: Connection): void;
}

/** One attempt to connect, and the stream that it opens. */
export class Connection {
  readonly #port: ConnectionPort;
  readonly #abort = new AbortController();
  readonly #watchdog: Watchdog | undefined;
  #isOpen = false;
  #cancelOpenDeadline = noop;
  #cancelFrameDeadline: (() => void) | undefined;
  #log: string | undefined;
  #closed: SSEProblem | undefined;

  constructor(port: ConnectionPort) {
    this.#port = port;
    const { environment, watchdogIntervals } = port;
    this.#watchdog =
      watchdogIntervals === undefined
        ? undefined
        : new Watchdog(environment, watchdogIntervals, () => {
            this.stop(new SSEProblem("heartbeat_missed", "No heartbeat arrived in time."));
          });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The log that the ids of this stream belong to. Undefined until the service has named it. */
  get log(): string | undefined {
    return this.#log;
  }

  /** Resolves with the reason when the stream has ended. Never rejects. */
  async run(): Promise<SSEProblem> {
    const { signal } = this.#abort;
    try {
      this.#cancelOpenDeadline = this.#stopIn(OPEN_DEADLINE_MS, "No event stream opened in time.");
      await this.#read(await this.#open());
      return new SSEProblem("stream_ended", "The stream has ended.");
    } catch (error) {
      return toProblem(signal.aborted ? signal.reason : error);
    } finally {
      this.#cancelOpenDeadline();
      this.#cancelFrameDeadline?.();
      this.#watchdog?.stop();
      this.#abort.abort();
    }
  }

  /** No frame is handed on after this call. */
  stop(problem: SSEProblem): void {
    this.#abort.abort(problem);
  }

  /** Runs the watchdog now, because the timers of a suspended page stand still. */
  checkPulse(): void {
    this.#watchdog?.check();
  }

  async #open(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const { environment } = this.#port;
    const response = await this.#orAbort(this.#fetch(), discard);
    if (response.status !== 200) {
      throw await this.#orAbort(readRefusal(response, environment));
    }
    const type = response.headers.get("Content-Type") ?? "";
    if (response.body === null || !/^\s*text\/event-stream\s*(;|$)/i.test(type)) {
      void discard(response);
      throw new SSEProblem("content_type", `Expected an event stream, got ${type || "no content type"}.`, {
        status: 200,
      });
    }
    return response.body.getReader();
  }

  async #fetch(): Promise<Response> {
    const { url, headers, credentials } = await this.#orAbort(this.#port.request(this.#abort.signal));
    return this.#port.environment.fetch(url, {
      headers,
      cache: "no-store",
      ...(credentials && { credentials }),
      signal: this.#abort.signal,
    });
  }

  #stopIn(ms: number, detail: string): () => void {
    return this.#port.environment.after(ms, () => this.stop(new SSEProblem("timeout", detail)));
  }

  async #read(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
    const { signal } = this.#abort;
    // The `fetch` of the user may ignore its signal. Cancelling the reader ends the read in any case.
    const cancel = (): void => void reader.cancel(signal.reason).catch(() => {});
    signal.addEventListener("abort", cancel);
    signal.throwIfAborted();
    const decode = createDecoder((frame) => this.#take(frame), tooLarge);
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) {
        return;
      }
      this.#watchdog?.heard();
      this.#awaitEndOfFrame(decode(value));
      if (this.#closed !== undefined) {
        throw this.#closed;
      }
    }
  }

  #awaitEndOfFrame(hasEnded: boolean): void {
    if (hasEnded) {
      this.#cancelFrameDeadline?.();
      this.#cancelFrameDeadline = undefined;
    } else {
      this.#cancelFrameDeadline ??= this.#stopIn(FRAME_DEADLINE_MS, "A frame did not end in time.");
    }
  }

  #take(frame: Frame): void {
    const { signal } = this.#abort;
    // A listener may have disconnected in the middle of a chunk. Frames after `close` do not count.
    if (signal.aborted || this.#closed !== undefined) {
      return;
    }
    const { type, text } = frame.event ?? {};
    if (type === "close") {
      this.#closed = closed(parseData(text ?? ""));
    } else if (type === "connected") {
      // Comes again if another log takes the place of this one. A gap follows then.
      this.#introduce(parseData(text ?? ""));
    }
    if (type !== undefined && type !== "close" && type !== "error" && !this.#isOpen) {
      this.#isOpen = true;
      this.#cancelOpenDeadline();
      this.#port.onOpen(this);
    }
    // A listener of `onOpen` may have disconnected.
    if (!signal.aborted) {
      this.#port.onFrame(frame, this);
    }
  }

  #introduce(connected: unknown): void {
    const log = memberOf(connected, "log");
    this.#log = typeof log === "string" ? log : undefined;
    this.#watchdog?.beatsEvery(memberOf(connected, "heartbeat_interval_seconds"));
  }

  /** Rejects when the attempt is aborted, even if the work itself ignores that. */
  #orAbort<T>(work: Promise<T>, late?: (value: T) => void): Promise<T> {
    const { signal } = this.#abort;
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        reject(toProblem(signal.reason));
        if (late !== undefined) {
          work.then(late, () => {});
        }
      };
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
      signal.addEventListener("abort", abort);
      if (signal.aborted) {
        abort();
      }
    });
  }
}

function noop(): void {}

function tooLarge(): SSEProblem {
  return new SSEProblem("frame_too_large", "A frame has more than 1 MiB.");
}

function closed(data: unknown): SSEProblem {
  const reason = memberOf(data, "reason");
  const retryAfterMs = memberOf(data, "retry_after_ms");
  return new SSEProblem(
    typeof reason === "string" ? reason : "close",
    `The service has closed the stream${typeof reason === "string" ? `: ${reason}` : ""}.`,
    {
      // An operator ended this stream on purpose.
      final: reason === "kicked",
      ...(typeof retryAfterMs === "number" && retryAfterMs >= 0 && { retryAfterMs }),
    },
  );
}
