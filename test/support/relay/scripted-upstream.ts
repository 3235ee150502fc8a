import type { HistoryPage } from "../../../src/hub/log/history.ts";
import type { HistoryRequest } from "../../../src/hub/log/ledger.ts";
import type { FeedStart, Upstream } from "../../../src/relay/upstream.ts";
import { encodeFrame, type Frame } from "../../../src/sse/encode.ts";

const encoder = new TextEncoder();

/** One stream that a feed has asked for, and what the hub does with it. */
export class ScriptedStream {
  readonly from: FeedStart;
  readonly signal: AbortSignal;
  readonly body: Promise<ReadableStream<Uint8Array>>;
  /** Whether the feed has ended the stream. */
  isCancelled = false;
  readonly #settle: PromiseWithResolvers<ReadableStream<Uint8Array>>;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;

  constructor(from: FeedStart, signal: AbortSignal) {
    this.from = from;
    this.signal = signal;
    this.#settle = Promise.withResolvers();
    this.body = this.#settle.promise;
  }

  refuse(error: Error): void {
    this.#settle.reject(error);
  }

  /** The stream begins, without any bytes. */
  accept(): this {
    if (this.#controller !== null) {
      return this;
    }
    this.#settle.resolve(
      new ReadableStream<Uint8Array>({
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => {
          this.isCancelled = true;
        },
      }),
    );
    return this;
  }

  /** The stream begins as a hub begins it. */
  open({ log = "log-a", at = 0, gap = false, heartbeatSeconds = 30 as unknown } = {}): this {
    const data = {
      client_id: "relay",
      channel: "default",
      last_event_id: String(at),
      log,
      heartbeat_interval_seconds: heartbeatSeconds,
    };
    const connected = { retry: 5_000, event: "connected", data: JSON.stringify(data) };
    return this.accept().frame(gap ? connected : { ...connected, id: at });
  }

  gap(reason: string, oldest: number, latest: number): this {
    const oldest_id = oldest > latest ? null : String(oldest);
    const data = JSON.stringify({ requested_id: null, oldest_id, latest_id: String(latest), reason });
    return this.frame({ event: "gap", id: oldest - 1, data });
  }

  event(seq: number, members: Readonly<Record<string, unknown>> = {}): this {
    const published_at = "2026-01-29T10:00:00.000Z";
    const envelope = { id: String(seq), type: "tick", data: { n: seq }, published_at, ...members };
    return this.frame({ event: "tick", id: seq, data: JSON.stringify(envelope) });
  }

  close(reason: string, retryAfterMs: unknown = 0): this {
    return this.frame({ event: "close", data: JSON.stringify({ reason, retry_after_ms: retryAfterMs }) });
  }

  frame(frame: Frame): this {
    return this.bytes(encodeFrame(frame));
  }

  bytes(bytes: string | Uint8Array): this {
    if (!this.isCancelled) {
      this.#controller?.enqueue(typeof bytes === "string" ? encoder.encode(bytes) : bytes);
    }
    return this;
  }

  end(): void {
    this.#controller?.close();
  }

  cut(): void {
    this.#controller?.error(new TypeError("terminated"));
  }
}

/** A hub that does what a test says. */
export class ScriptedUpstream implements Upstream {
  readonly streams: ScriptedStream[] = [];
  readonly asked: HistoryRequest[] = [];
  answer: (request: HistoryRequest) => HistoryPage | Promise<HistoryPage> = () => historyPage();

  open(from: FeedStart, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const stream = new ScriptedStream(from, signal);
    this.streams.push(stream);
    return stream.body;
  }

  async history(request: HistoryRequest): Promise<HistoryPage> {
    this.asked.push(request);
    return this.answer(request);
  }

  /** The newest stream. */
  get last(): ScriptedStream {
    const stream = this.streams.at(-1);
    if (stream === undefined) {
      throw new Error("the feed has not asked for a stream");
    }
    return stream;
  }
}

export function historyPage(parts: Partial<HistoryPage> = {}): HistoryPage {
  return { events: [], next: 0, more: false, oldest: null, latest: 0, gap: null, ...parts };
}
