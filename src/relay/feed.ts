import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import { seqOf } from "../hub/log/event-id.ts";
import type { Logger } from "../hub/logger.ts";
import { createDecoder, type Frame } from "../sse/decode.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";
import { readEnvelope, withSize } from "./envelope.ts";
import type { Tail } from "./tail.ts";
import type { Upstream } from "./upstream.ts";

/** How far in the past the first feed starts. Clients whose relay has died find their events in the tail of the next one. */
const PAST_MS = 30_000;

/** A feed that was silent for this many heartbeats is dead. */
const SILENT_HEARTBEATS = 2.5;

/** The delay before attempt n, from 0: between the least one and it plus the growing one. */
const DELAY_LEAST_MS = 100;
const DELAY_FIRST_MS = 500;
const DELAY_MOST_MS = 10_000;

/** After a feed that was healthy for this long, the delays start over. */
const HEALTHY_MS = 10_000;

/** Why the hub has ended the feed, so that the clients of the relay have to end too. */
export type FeedEnd = "drain" | "shutdown" | "replaced";

/** Learns what happens to a feed. */
export interface FeedObserver {
  /** The feed brings events. */
  attached(): void;
  /** The feed has ended. It is opened again. */
  lost(): void;
  /** The hub has ended the feed for a reason that concerns the clients. It is not opened again until `attach`. */
  ended(reason: FeedEnd): void;
}

/** What a feed needs. */
export interface FeedHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly heartbeatIntervalMs: number;
  random(): number;
}

/** One attempt to be fed, from `attach` to `close`. */
interface Run {
  readonly ready: PromiseWithResolvers<void>;
  /** Ends the current stream. */
  cut: AbortController;
  /** Where the feed has to be to have caught up; null until the hub was asked. */
  target: number | null;
  isReady: boolean;
}

/** The end of a stream that `close` announced. */
class FeedClosed extends Error {
  readonly reason: string;
  readonly retryMs: number;

  constructor(reason: string, retryMs: number) {
    super(`the hub has ended the feed: ${reason}`);
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

/**
 * Follows the stream of the hub, and puts its events into the tail: in the order of their seqs, each once. Whatever happens
 * to the stream, the next one starts where the tail ends.
 */
export class Feed {
  readonly #upstream: Upstream;
  readonly #tail: Tail;
  readonly #observer: FeedObserver;
  readonly #host: FeedHost;
  #run: Run | null = null;
  #parent: string | null = null;
  #lostSince: number | null = null;
  #attachedAt = 0;
  #closedAt = 0;
  /** When the last bytes came; null while there is no stream. */
  #heardAt: number | null = null;
  /** A pause before the next attempt. */
  #pause: { readonly until: number; readonly end: () => void } | null = null;

  constructor(upstream: Upstream, tail: Tail, observer: FeedObserver, host: FeedHost) {
    this.#upstream = upstream;
    this.#tail = tail;
    this.#observer = observer;
    this.#host = host;
  }

  /** Whether the tail has caught up with the hub since `attach`. Clients can be served then, even if the hub is away. */
  get hasAttached(): boolean {
    return this.#run?.isReady === true;
  }

  /** Since when the feed has been lost; null if it is not, or was never attached. */
  get lostSince(): number | null {
    return this.#lostSince;
  }

  /**
   * Opens the feed unless it is open. Resolves when the tail has caught up.
   *
   * @throws HubError if the hub refuses the first stream
   */
  attach(): Promise<void> {
    if (this.#run === null) {
      const run: Run = {
        ready: Promise.withResolvers<void>(),
        cut: new AbortController(),
        target: null,
        isReady: false,
      };
      run.ready.promise.catch(() => {});
      this.#run = run;
      void this.#follow(run);
    }
    return this.#run.ready.promise;
  }

  /** Ends the feed. */
  close(): void {
    const run = this.#run;
    this.#forget();
    this.#pause?.end();
    run?.ready.reject(new HubError("hub_unreachable", "This relay has closed."));
    run?.cut.abort();
  }

  /** Takes the events from another source from now on: null is the hub itself. */
  follow(parent: string | null): void {
    if (parent !== this.#parent) {
      this.#parent = parent;
      this.reopen();
    }
  }

  /** Opens the stream again, because the hub says that it has none to this relay. */
  reopen(): void {
    if (this.#heardAt !== null) {
      this.#run?.cut.abort();
    }
  }

  /** Ends a stream that is silent, and a pause that is over. Call it when the alarm rings: timers may not. */
  check(now: number): void {
    if (this.#heardAt !== null && now - this.#heardAt >= this.#silenceMs) {
      this.#host.logger("warn", "feed_silent", { ms: now - this.#heardAt });
      this.#run?.cut.abort();
    }
    if (this.#pause !== null && now >= this.#pause.until) {
      this.#pause.end();
    }
  }

  /** When `check` has something to do, in ms since the epoch; Infinity if the feed is closed. */
  nextDue(): number {
    return Math.min(
      this.#heardAt === null ? Number.POSITIVE_INFINITY : this.#heardAt + this.#silenceMs,
      this.#pause?.until ?? Number.POSITIVE_INFINITY,
    );
  }

  get #silenceMs(): number {
    return SILENT_HEARTBEATS * this.#host.heartbeatIntervalMs;
  }

  async #follow(run: Run): Promise<void> {
    let attempt = 0;
    while (this.#run === run) {
      let retryMs: number | null = null;
      try {
        await this.#stream(run);
      } catch (error) {
        if (this.#run !== run) {
          return;
        }
        const end = endOf(error);
        if (end !== null || (error instanceof HubError && !run.isReady)) {
          this.#stop(run, error, end);
          return;
        }
        retryMs = error instanceof FeedClosed ? error.retryMs : null;
        this.#host.logger("warn", "feed_lost", { error: String(error) });
      }
      this.#heardAt = null;
      if (this.#run !== run) {
        return;
      }
      const now = this.#host.clock.now();
      attempt = this.#lostSince === null && now - this.#attachedAt >= HEALTHY_MS ? 0 : attempt + 1;
      if (this.#lostSince === null && run.isReady) {
        this.#lostSince = now;
        this.#observer.lost();
      }
      run.cut = new AbortController();
      await this.#wait(retryMs ?? this.#delayMs(attempt));
    }
  }

  /** The hub takes no feed, or wants this relay to end. */
  #stop(run: Run, error: unknown, end: FeedEnd | null): void {
    this.#forget();
    run.ready.reject(error instanceof HubError ? error : new HubError("hub_unreachable", String(error)));
    if (end !== null && run.isReady) {
      this.#observer.ended(end);
    }
  }

  #forget(): void {
    this.#run = null;
    this.#lostSince = null;
    this.#heardAt = null;
    this.#closedAt = this.#host.clock.now();
  }

  /** Reads one stream to its end. */
  async #stream(run: Run): Promise<void> {
    const { clock } = this.#host;
    const now = clock.now();
    // A tail that was closed for longer than the past would only replay what no client asks for.
    const isNew = this.#tail.name === "" || (!run.isReady && now - this.#closedAt > PAST_MS);
    const { signal } = run.cut;
    this.#heardAt = now;
    const body = await this.#upstream.open(
      {
        cursor: isNew ? null : this.#tail.head(),
        logName: isNew ? null : this.#tail.name,
        since: now - PAST_MS,
        parent: this.#parent,
      },
      signal,
    );
    const reader = body.getReader();
    const stop = (): void => void reader.cancel().catch(() => {});
    signal.addEventListener("abort", stop, { once: true });
    const decode = createDecoder(
      (frame) => this.#take(frame),
      () => new BrokenUpstreamError("a frame has more than 1 MiB"),
    );
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done || this.#run !== run) {
          return;
        }
        this.#heardAt = clock.now();
        const before = this.#tail.head();
        try {
          decode(value);
        } finally {
          if (this.#tail.head() !== before) {
            this.#tail.advance();
          }
        }
        if (run.target === null && this.#tail.name !== "") {
          run.target = await this.#tail.askHead();
        }
        this.#noteProgress(run);
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  }

  #noteProgress(run: Run): void {
    if (this.#tail.name === "") {
      return;
    }
    if (this.#lostSince !== null || !run.isReady) {
      this.#attachedAt = this.#host.clock.now();
    }
    if (this.#lostSince !== null) {
      this.#lostSince = null;
      this.#observer.attached();
    }
    if (!run.isReady && this.#tail.head() >= (run.target ?? 0)) {
      run.isReady = true;
      run.ready.resolve();
      this.#observer.attached();
    }
  }

  #take({ id, event }: Frame): void {
    if (event === undefined) {
      return;
    }
    const data = parse(event.text);
    switch (event.type) {
      case "connected":
        this.#connected(data);
        break;
      case "gap":
        this.#gap(data, id);
        break;
      case "close":
        throw new FeedClosed(String(data["reason"]), delayOf(data["retry_after_ms"]));
      case "error":
        break;
      default:
        this.#event(data, id);
    }
  }

  #connected(data: Readonly<Record<string, unknown>>): void {
    const { log, last_event_id } = data;
    const cursor = typeof last_event_id === "string" ? seqOf(last_event_id) : null;
    if (typeof log !== "string" || log === "" || log.length > 64 || cursor === null) {
      throw new BrokenUpstreamError("the upstream did not say which log it has");
    }
    if (log !== this.#tail.name) {
      this.#tail.begin(log, cursor, 1);
      this.#tail.advance();
    } else if (cursor > this.#tail.head()) {
      this.#tail.skipTo(cursor);
    }
  }

  /** The events between the end of the tail and what the hub still has are lost, for the clients too. */
  #gap(data: Readonly<Record<string, unknown>>, id: string | undefined): void {
    const cursor = id === undefined ? null : seqOf(id);
    if (cursor === null) {
      throw new BrokenUpstreamError("a gap of the upstream has no id");
    }
    if (data["reason"] === "unknown" && cursor !== this.#tail.head()) {
      this.#tail.begin(this.#tail.name, cursor, cursor + 1);
    } else if (cursor > this.#tail.head()) {
      this.#tail.skipTo(cursor);
      this.#tail.raiseOldest(cursor + 1);
    }
    this.#tail.advance();
  }

  #event(data: Readonly<Record<string, unknown>>, id: string | undefined): void {
    const event = readEnvelope(data);
    const head = this.#tail.head();
    if (String(event.seq) !== id || event.seq > head + 1) {
      throw new BrokenUpstreamError(`event ${event.seq} does not follow event ${head}`);
    }
    if (event.seq === head + 1) {
      this.#tail.push(withSize(event));
    }
  }

  #delayMs(attempt: number): number {
    const growing = Math.min(DELAY_MOST_MS, DELAY_FIRST_MS * 2 ** (attempt - 1));
    return DELAY_LEAST_MS + this.#host.random() * growing;
  }

  async #wait(ms: number): Promise<void> {
    const { clock } = this.#host;
    await new Promise<void>((resolve) => {
      const cancel = clock.after(ms, resolve);
      this.#pause = {
        until: clock.now() + ms,
        end: () => {
          cancel();
          resolve();
        },
      };
    });
    this.#pause = null;
  }
}

/** Whether the hub ends or refuses the feed for a reason that concerns the clients of the relay. */
function endOf(error: unknown): FeedEnd | null {
  if (error instanceof FeedClosed) {
    const { reason } = error;
    return reason === "drain" || reason === "shutdown" || reason === "replaced" ? reason : null;
  }
  if (error instanceof HubError && error.code === "draining") {
    return "drain";
  }
  return error instanceof HubError && error.code === "shutting_down" ? "shutdown" : null;
}

/** The longest pause that an upstream may ask for. */
const PAUSE_MOST_MS = 60_000;

function delayOf(value: unknown): number {
  return typeof value === "number" && value >= 0 ? Math.min(value, PAUSE_MOST_MS) : DELAY_LEAST_MS;
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const data: unknown = JSON.parse(text);
    if (typeof data === "object" && data !== null) {
      return data as Readonly<Record<string, unknown>>;
    }
  } catch {
    // Reported below.
  }
  throw new BrokenUpstreamError("a frame of the upstream has no JSON object as data");
}
