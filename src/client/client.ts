import { Cursor } from "./cursor.ts";
import { Delivery } from "./delivery.ts";
import { platform, type Environment } from "./environment.ts";
import { Feed, type Source, type SourcePort } from "./feed.ts";
import { Listeners } from "./listeners.ts";
import type { SSEProblem } from "./problem.ts";
import { SharedFeed } from "./shared-feed.ts";
import { streamRequest, streamUrl, ticketUrl } from "./stream-request.ts";
import type {
  ConnectionState,
  EventListener,
  EventName,
  Retry,
  SSEClientOptions,
  SSEEvent,
  StateListener,
} from "./types.ts";
import { watchVisibility } from "./visibility.ts";

export { SSEProblem } from "./problem.ts";

const PAUSE_WHEN_HIDDEN_SECONDS = 300;
const LONGEST_PAUSE_SECONDS = 86_400;

/** The silence that the watchdog allows, in heartbeat intervals, and the random part that each client adds to it. */
const MISSED_HEARTBEATS = 2.5;
const MISSED_HEARTBEATS_SPREAD = 0.5;

/** The number changes with the messages between tabs, because tabs of two versions would not understand each other. */
const SHARED_NAME = "edge-sse:1";

/**
 * Receives the events of an edge-sse channel, each exactly once and in order, over one connection.
 *
 * The client reconnects by itself and resumes after the last id: after a lost connection, silence, a 5xx, 408 or 429,
 * a response that is not an event stream, and a `close` event. Attempt n, counted from 0, waits 100 ms plus a random
 * part of up to 1.4 s x 2^n and at most 30 s. The count starts again when a stream has lasted for 10 s. A delay that
 * the service asks for, by `Retry-After` or a `close` event, replaces that delay once.
 *
 * The client stops after any other 4xx, and when an operator kicks it.
 *
 * @example
 * const client = new SSEClient({ types: ["state_transition"], projectId: 7 });
 * client.on("state_transition", (data, event) => console.log(event.id, data));
 * client.connect();
 *
 * @typeParam Events your event types and their data, for typed listeners: `new SSEClient<{ tick: { n: number } }>()`
 */
export class SSEClient<Events extends object = Record<string, unknown>> {
  readonly #environment: Environment;
  readonly #signal: AbortSignal | undefined;
  readonly #pauseAfterMs: number | undefined;
  readonly #cursor: Cursor;
  readonly #delivery: Delivery;
  readonly #source: Source;
  readonly #stateListeners: Listeners<Parameters<StateListener>>;
  readonly #errorListeners: Listeners<readonly [SSEProblem]>;
  readonly #retryListeners: Listeners<readonly [Retry]>;
  #state: ConnectionState = "disconnected";
  #cancelWatching: (() => void) | undefined;

  /**
   * Does not connect yet. Add listeners, then call `connect()`.
   *
   * @throws TypeError for an invalid option: no absolute URL where there is no page, an id with a comma, an empty list
   *   of ids, a field that is given twice, a number of seconds out of range
   */
  constructor(options?: SSEClientOptions);
  /** @internal */
  constructor(options: SSEClientOptions, environment: Environment);
  constructor(options: SSEClientOptions = {}, environment: Environment = platform()) {
    const { fetch = environment.fetch } = options;
    this.#environment = { ...environment, fetch };
    this.#signal = options.signal;
    this.#pauseAfterMs = pauseAfterMs(options.pauseWhenHiddenSeconds);
    this.#cursor = new Cursor({ id: options.lastEventId ?? "", log: options.log });
    this.#delivery = new Delivery(this.#cursor, options.envelope === true, environment.report);
    this.#source = this.#createSource(options);
    this.#stateListeners = new Listeners(environment.report);
    this.#errorListeners = new Listeners(environment.report);
    this.#retryListeners = new Listeners(environment.report);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** A reconnect resumes after this id. Empty before the first stream. Events that the filter hides move it too. */
  get lastEventId(): string {
    return this.#cursor.id;
  }

  /** The log that `lastEventId` belongs to. Undefined before the first stream. Keep both to resume in a later page. */
  get log(): string | undefined {
    return this.#cursor.log;
  }

  /** Connects, and stays connected until `disconnect()` or a final problem. Does nothing unless `state` is `disconnected`. */
  connect(): void {
    if (this.#state !== "disconnected" || this.#signal?.aborted === true) {
      return;
    }
    const abort = (): void => this.disconnect();
    this.#signal?.addEventListener("abort", abort, { once: true });
    const cancelVisibility = watchVisibility(this.#environment, this.#pauseAfterMs, {
      onPause: () => {
        this.#source.close();
        this.#setState("reconnecting");
      },
      onResume: () => this.#source.open(),
      onShow: () => this.#source.checkPulse(),
    });
    this.#cancelWatching = () => {
      cancelVisibility();
      this.#signal?.removeEventListener("abort", abort);
    };
    this.#setState("connecting");
    // A listener may have disconnected.
    if (this.state === "connecting") {
      this.#source.open();
    }
  }

  /** Ends the connection. No listener gets another event. `connect()` resumes after the last id. */
  disconnect(): void {
    this.#halt();
    this.#setState("disconnected");
  }

  /**
   * Calls a listener with each event of a type: one of your own types, `"*"` for every published event, or `connected`,
   * `gap`, `close` or `error` for the events of the service itself.
   *
   * @returns a function that removes the listener
   * @throws TypeError if the listener is not a function
   */
  on<Type extends EventName<Events>>(type: Type, listener: EventListener<Events, Type>): () => void {
    return this.#delivery.on(type, listener as (data: unknown, event: SSEEvent) => void);
  }

  /** Like `on`, for the next event only. */
  once<Type extends EventName<Events>>(type: Type, listener: EventListener<Events, Type>): () => void {
    const call = listener as (data: unknown, event: SSEEvent) => void;
    const off = this.#delivery.on(type, (data, event) => {
      off();
      call(data, event);
    });
    return off;
  }

  /** Calls a listener after each change of `state`. Returns a function that removes it. */
  onStateChange(listener: StateListener): () => void {
    return this.#stateListeners.add(listener);
  }

  /**
   * Calls a listener when the client stops after a final problem, before `state` becomes `disconnected`. Call
   * `connect()` after that change to start again. Returns a function that removes the listener.
   */
  onError(listener: (problem: SSEProblem) => void): () => void {
    return this.#errorListeners.add(listener);
  }

  /** Calls a listener when the client schedules an attempt to reconnect. Returns a function that removes it. */
  onRetry(listener: (retry: Retry) => void): () => void {
    return this.#retryListeners.add(listener);
  }

  #createSource(options: SSEClientOptions): Source {
    const environment = this.#environment;
    const url = streamUrl(options, environment.baseUrl);
    const route = { stream: url, tickets: ticketUrl(options, url, environment.baseUrl) };
    const port: SourcePort = {
      receive: (frame, log) => this.#delivery.receive(frame, log),
      onConnected: () => this.#setState("connected"),
      onLost: (problem) => this.#setState("reconnecting", problem),
      onRetry: (retry) => this.#retryListeners.call(retry),
      onStop: (problem) => this.#stop(problem),
    };
    const feed = {
      environment,
      port,
      // Each attempt buys a new ticket, so one that was refused as too old is worth another attempt.
      canRefresh: typeof options.token === "function" || route.tickets !== undefined,
      watchdogIntervals:
        options.watchdog === false
          ? undefined
          : MISSED_HEARTBEATS + MISSED_HEARTBEATS_SPREAD * environment.random(),
      request: (refresh: boolean, signal: AbortSignal) =>
        streamRequest(route, this.#cursor, options, environment, refresh, signal),
    };
    const { shared = false } = options;
    if (shared === false || environment.tabs === undefined) {
      return new Feed(feed);
    }
    return new SharedFeed({
      ...feed,
      tabs: environment.tabs,
      name: `${SHARED_NAME}:${typeof shared === "string" ? shared : ""}:${url.href}`,
      cursor: this.#cursor,
      startsInThePast: url.searchParams.has("since"),
    });
  }

  #halt(): void {
    this.#cancelWatching?.();
    this.#cancelWatching = undefined;
    this.#source.close();
  }

  #stop(problem: SSEProblem): void {
    this.#halt();
    this.#errorListeners.call(problem);
    this.#setState("disconnected", problem);
  }

  #setState(state: ConnectionState, problem?: SSEProblem): void {
    const previous = this.#state;
    if (state !== previous) {
      this.#state = state;
      this.#stateListeners.call(state, previous, problem);
    }
  }
}

function pauseAfterMs(seconds: number | false = PAUSE_WHEN_HIDDEN_SECONDS): number | undefined {
  if (seconds === false) {
    return undefined;
  }
  if (!(seconds >= 0 && seconds <= LONGEST_PAUSE_SECONDS)) {
    throw new TypeError(
      `pauseWhenHiddenSeconds: expected 0 to ${LONGEST_PAUSE_SECONDS} or false, got ${seconds}`,
    );
  }
  return seconds * 1_000;
}
