import { Backoff, LONGEST_WAIT_MS } from "./backoff.ts";
import { Connection, type StreamRequest } from "./connection.ts";
import type { Frame } from "../sse/decode.ts";
import { memberOf, parseData } from "./decode.ts";
import type { Environment } from "./environment.ts";
import { SSEProblem } from "./problem.ts";
import type { Retry } from "./types.ts";

/** After a stream has lived for this long, the next loss starts again with short delays. */
const HEALTHY_MS = 10_000;

/**
 * `open()` this soon after a refusal waits like a reconnect. Otherwise a page that calls it in a loop floods the
 * service.
 */
const COOLING_MS = 1_000;

/** The source of a client's frames: its own feed, or one that tabs share. */
export interface Source {
  /** Does nothing if the source is open already. */
  open(): void;
  /** Nothing is reported after this call. */
  close(): void;
  /** Checks whether the stream is still alive. The page may have been suspended. */
  checkPulse(): void;
}

export interface SourcePort {
  receive(frame: Frame, log: string | undefined): void;
  onConnected(): void;
  /** The stream is lost, and the source tries to reconnect. Without a `problem`, it passes from one tab to another. */
  onLost(problem: SSEProblem | undefined): void;
  onRetry(retry: Retry): void;
  /** The source has stopped after a final problem. */
  onStop(problem: SSEProblem): void;
}

export interface FeedOptions {
  readonly environment: Environment;
  readonly port: SourcePort;
  /** Whether `request` can get another token or ticket. */
  readonly canRefresh: boolean;
  readonly watchdogIntervals: number | undefined;
  /** @param refresh whether the last token is refused or about to expire */
  request(refresh: boolean, signal: AbortSignal): Promise<StreamRequest>;
}

/** Keeps one stream open. It makes the attempts, waits between them, and changes from an old stream to a new one. */
export class Feed implements Source {
  readonly #options: FeedOptions;
  readonly #backoff: Backoff;
  /** The open stream, or the attempt to open it. */
  #current: Connection | undefined;
  /** The attempt to open a successor while the current stream still delivers. */
  #next: Connection | undefined;
  #wait: { readonly cancel: () => void; readonly isAsked: boolean } | undefined;
  #cancelHealthy = noop;
  #handOver: { readonly cancel: () => void } | undefined;
  #cancelListening = noop;
  #isStarted = false;
  #needsRefresh = false;
  /** The stream is less than 10 s old, and its token was fetched for it. */
  #hasNewToken = false;
  #wasRefused = false;
  #outlivedOffline = false;
  #stoppedAt: number | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.environment.random);
  }

  get isStarted(): boolean {
    return this.#isStarted;
  }

  get isOpen(): boolean {
    return this.#current?.isOpen === true;
  }

  open(): void {
    if (this.#isStarted) {
      return;
    }
    this.#isStarted = true;
    const { now, page } = this.#options.environment;
    const stopOnline = page.listen("online", () => this.#online());
    const stopOffline = page.listen("offline", () => this.#offline());
    this.#cancelListening = () => {
      stopOnline();
      stopOffline();
    };
    if (this.#stoppedAt !== undefined && now() - this.#stoppedAt < COOLING_MS) {
      this.#attemptIn(this.#backoff.next());
    } else {
      this.#backoff.reset();
      this.#attempt();
    }
  }

  close(): void {
    this.#isStarted = false;
    this.#cancelListening();
    this.#cancelHealthy();
    this.#handOver?.cancel();
    this.#handOver = undefined;
    this.#wait?.cancel();
    this.#wait = undefined;
    this.#outlivedOffline = false;
    const done = new SSEProblem("disconnected", "The client has disconnected.");
    for (const connection of [this.#current, this.#next]) {
      connection?.stop(done);
    }
    this.#current = undefined;
    this.#next = undefined;
  }

  checkPulse(): void {
    this.#current?.checkPulse();
  }

  #attempt(): void {
    this.#wait = undefined;
    this.#current = this.#connect();
  }

  #attemptIn(delayMs: number, isAsked = false): void {
    this.#wait?.cancel();
    this.#wait = { cancel: this.#options.environment.after(delayMs, () => this.#attempt()), isAsked };
  }

  #connect(): Connection {
    const { environment, watchdogIntervals, request } = this.#options;
    const refresh = this.#needsRefresh;
    const connection = new Connection({
      environment,
      watchdogIntervals,
      request: (signal) => request(refresh, signal),
      onOpen: (opened) => this.#opened(opened, refresh),
      onFrame: (frame, { log }) => this.#take(frame, log),
    });
    void connection.run().then((problem) => this.#ended(connection, problem));
    return connection;
  }

  #opened(connection: Connection, hasNewToken: boolean): void {
    if (connection === this.#next) {
      const old = this.#current;
      this.#current = connection;
      this.#next = undefined;
      old?.stop(new SSEProblem("replaced", "Another stream has taken over."));
    }
    this.#needsRefresh = false;
    this.#hasNewToken = hasNewToken;
    this.#wasRefused = false;
    this.#outlivedOffline = false;
    this.#handOver?.cancel();
    this.#handOver = undefined;
    this.#cancelHealthy();
    this.#cancelHealthy = this.#options.environment.after(HEALTHY_MS, () => {
      this.#backoff.reset();
      this.#hasNewToken = false;
    });
    this.#options.port.onConnected();
  }

  #take(frame: Frame, log: string | undefined): void {
    if (frame.event?.type === "error" && this.#options.canRefresh) {
      const kind = memberOf(parseData(frame.event.text), "error_type");
      if (kind === "token_expiring") {
        this.#needsRefresh = true;
        // A token function that has just returned a token about to expire has no better one.
        if (!this.#hasNewToken) {
          this.#handOverSoon();
        }
      }
    }
    this.#options.port.receive(frame, log);
  }

  /**
   * Opens another stream and drops the current one when the new one is open. Both deliver for a moment, and the cursor
   * removes the duplicates. If the attempt fails, the current stream goes on until the service or the watchdog ends it.
   * The delay is that of a reconnect, because many tokens expire at the same moment.
   */
  #handOverSoon(askedMs?: number): void {
    if (this.#handOver !== undefined || this.#next !== undefined) {
      return;
    }
    const cancel = this.#options.environment.after(this.#backoff.next(askedMs), () => {
      this.#handOver = undefined;
      if (this.isOpen) {
        this.#next = this.#connect();
      }
    });
    this.#handOver = { cancel };
  }

  #ended(connection: Connection, problem: SSEProblem): void {
    if (connection === this.#next) {
      this.#next = undefined;
      if (this.#needsRefresh && !problem.final) {
        this.#handOverSoon(problem.retryAfterMs);
      }
      return;
    }
    if (connection !== this.#current) {
      return;
    }
    this.#cancelHealthy();
    this.#current = undefined;
    if (this.#next === undefined || problem.final) {
      this.#lost(problem);
    } else {
      this.#current = this.#next;
      this.#next = undefined;
      this.#options.port.onLost(problem);
    }
  }

  #lost(problem: SSEProblem): void {
    const { environment, port } = this.#options;
    if (problem.final && !this.#asksAgain(problem)) {
      this.close();
      this.#stoppedAt = environment.now();
      port.onStop(problem);
      return;
    }
    this.#needsRefresh ||= problem.status === 401 || problem.code === "token_expired";
    const isOnline = environment.page.isOnline();
    const delayMs = isOnline ? this.#backoff.next(problem.retryAfterMs) : LONGEST_WAIT_MS;
    this.#attemptIn(delayMs, isOnline && problem.retryAfterMs !== undefined);
    port.onLost(problem);
    if (this.#isStarted) {
      port.onRetry({ problem, delayMs });
    }
  }

  /** Whether to try again with a new token. The last one may have expired, so only a second 401 in a row is final. */
  #asksAgain({ status }: SSEProblem): boolean {
    const isFirst = status === 401 && this.#options.canRefresh && !this.#wasRefused;
    this.#wasRefused ||= isFirst;
    return isFirst;
  }

  /** Attempts become rare, but do not stop: a browser that is offline still reaches a service on its own machine. */
  #offline(): void {
    this.#outlivedOffline = this.isOpen;
    if (this.#wait?.isAsked === false) {
      this.#attemptIn(LONGEST_WAIT_MS);
    }
  }

  #online(): void {
    if (this.#wait?.isAsked === false) {
      this.#backoff.reset();
      this.#attemptIn(this.#backoff.next());
    } else if (this.#outlivedOffline) {
      // The stream may be dead without a sign, because the machine may have a new address.
      this.#outlivedOffline = false;
      this.#handOverSoon();
    }
  }
}

function noop(): void {}
