import { Backoff, LONGEST_WAIT_MS } from "./backoff.ts";
import { Connection, type StreamRequest } from "./connection.ts";
import { memberOf, parseData, type Frame } from "./decode.ts";
import type { Environment } from "./environment.ts";
import { SSEProblem } from "./problem.ts";
import type { Retry } from "./types.ts";

/** A stream that has lived for this long was a good one: the next loss starts with short delays again. */
const HEALTHY_MS = 10_000;

/** `open()` so soon after a refusal waits like a reconnect: whoever calls it in a loop must not become an attack. */
const COOLING_MS = 1_000;

/** Where a client gets its frames from: a feed of its own, or one that tabs share. */
export interface Source {
  /** Starts. Does nothing if it has started. */
  open(): void;
  /** Stops; nothing is reported after it. */
  close(): void;
  /** The page may have slept: what looks alive may not be. */
  checkPulse(): void;
}

/** Whom a source reports to. */
export interface SourcePort {
  receive(frame: Frame, log: string | undefined): void;
  onConnected(): void;
  /** The stream is gone; the source works on it. `problem`: why, if something happened. */
  onLost(problem: SSEProblem | undefined): void;
  onRetry(retry: Retry): void;
  /** The source has stopped for good. */
  onStop(problem: SSEProblem): void;
}

export interface FeedOptions {
  readonly environment: Environment;
  readonly port: SourcePort;
  /** Whether there is somebody to ask for another token or ticket. */
  readonly canRefresh: boolean;
  readonly watchdogIntervals: number | undefined;
  /** @param refresh whether the last token will not do */
  request(refresh: boolean, signal: AbortSignal): Promise<StreamRequest>;
}

/** Keeps one stream open: attempts, delays between them, and the change from one stream to the next. */
export class Feed implements Source {
  readonly #options: FeedOptions;
  readonly #backoff: Backoff;
  /** The stream that counts, or the attempt at one. */
  #current: Connection | undefined;
  /** An attempt at the stream that is to follow while the current one still delivers. */
  #next: Connection | undefined;
  #wait: { readonly cancel: () => void; readonly isAsked: boolean } | undefined;
  #cancelHealthy = noop;
  #handOver: { readonly cancel: () => void } | undefined;
  #cancelListening = noop;
  #isStarted = false;
  #needsRefresh = false;
  /** The stream is young, and its token is as new as they are to be had. */
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
        // Whoever has just given one that is about to expire has no better one: the stream lasts as long as that does.
        if (!this.#hasNewToken) {
          this.#handOverSoon();
        }
      }
    }
    this.#options.port.receive(frame, log);
  }

  /**
   * Opens another stream, and lets the current one go only once the other has taken over. Both deliver for a moment:
   * the cursor tells the doubles. If it fails the current one goes on; the service or the watchdog will end it. Waits
   * like a reconnect: many tokens expire at the same moment.
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

  /** A token that was good may have expired in the meantime: a 401 is final only the second time. */
  #asksAgain({ status }: SSEProblem): boolean {
    const isFirst = status === 401 && this.#options.canRefresh && !this.#wasRefused;
    this.#wasRefused ||= isFirst;
    return isFirst;
  }

  /** No use in trying, but "offline" is a guess: a service on this machine can be reached all the same. */
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
      // It may be dead without a word, since this machine may have another address now.
      this.#outlivedOffline = false;
      this.#handOverSoon();
    }
  }
}

function noop(): void {}
