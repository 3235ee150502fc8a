import type { Receipt } from "../wire/events.ts";
import { Backoff } from "./backoff.ts";
import { memberOf, parseData } from "./decode.ts";
import { platform, type Environment } from "./environment.ts";
import { SSEProblem, toProblem } from "./problem.ts";
import { readRefusal } from "./refusal.ts";
import { absoluteUrl, bearer } from "./stream-request.ts";
import type { FetchLike, Id, Token } from "./request-types.ts";

export type { Receipt } from "../wire/events.ts";
export { SSEProblem } from "./problem.ts";

/** An attempt without an answer by then has failed. If its events were stored, the repetition finds their keys. */
const ANSWER_DEADLINE_MS = 10_000;

const GIVE_UP_AFTER_SECONDS = 60;

/** A timer of 2^31 ms or more, or of NaN, would fire at once. */
const LONGEST_GIVE_UP_SECONDS = 86_400;

/** Refusals that are worth another attempt, by the service or by a gateway in front of it. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** An event to publish: its data, which is any JSON, or a text. */
export type NewEvent = NewEventHead & (NewData | NewText);

interface NewData {
  /** Any JSON value of at most 65,000 bytes. Send integers of 2^53 and more as strings. */
  readonly data: unknown;
  readonly text?: undefined;
}

interface NewText {
  /** 1 to 65,000 bytes that streams carry as they are, and not as JSON. For example the HTML of a Turbo Stream. */
  readonly text: string;
  readonly data?: undefined;
}

interface NewEventHead {
  /**
   * `[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}`, but not `connected`, `gap`, `error`, `close`, `heartbeat`, `open` or
   * `caught_up`. Default: `message`, the type of events that a browser hands to `onmessage`.
   */
  readonly type?: string | undefined;
  /**
   * The fields that streams can filter by, such as `{ tenant_id: "a" }`. The names are those of `filters.fields` in the
   * configuration of the service. Default, for each field: the member of `data` with this name, if there is one.
   */
  readonly fields?: Readonly<Record<string, Id | null | undefined>> | undefined;
  /** Short for `fields: { project_id: ... }`. */
  readonly project_id?: Id | null | undefined;
  /** Short for `fields: { agent_id: ... }`. */
  readonly agent_id?: Id | null | undefined;
  /** All events of one call must name the same channel. Default: the channel of the publisher. */
  readonly channel?: string | undefined;
  /**
   * The idempotency key, 1 to 128 characters. While an event is kept, another one with the same key is not stored. Give
   * your own key if your process can restart in the middle of a call and publish again. Default: a random key.
   */
  readonly key?: string | undefined;
}

export interface PublisherOptions {
  /** The publish route, for example `https://sse.example/api/publish`. May be relative in a page. */
  url: string | URL;
  /** The service's `PUBLISH_TOKEN`. A function is asked before each attempt, and once more after a 401. */
  token: Token;
  /** The channel of events that name none. Default: the channel `default`. */
  channel?: string | undefined;
  /** Seconds until a call that cannot be delivered fails, 0 to 86,400. 0 makes one attempt only. Default: 60. */
  giveUpAfterSeconds?: number | undefined;
  /** The function that sends requests. Default: the global `fetch`. */
  fetch?: FetchLike | undefined;
}

/**
 * Publishes events, each of which is stored exactly once.
 *
 * A call is repeated after network errors and the statuses 408, 429, 502, 503 and 504. The delays are random and grow
 * like those of `SSEClient`, or follow the `Retry-After` of the service. Every event carries a key, so a repetition
 * never stores it twice. Concurrent calls have no order: await one call before the next if the order matters.
 *
 * @example
 * const publisher = new Publisher({ url: "https://sse.example/api/publish", token: process.env.PUBLISH_TOKEN });
 * const { id } = await publisher.publish({ type: "state_transition", data: { agent_id: 1, to_state: "idle" } });
 */
export class Publisher {
  readonly #environment: Environment;
  readonly #url: URL;
  readonly #token: Token;
  readonly #giveUpAfterMs: number;

  /** @throws TypeError for an invalid URL or `giveUpAfterSeconds` */
  constructor(options: PublisherOptions);
  /** @internal */
  constructor(options: PublisherOptions, environment: Environment);
  constructor(options: PublisherOptions, environment: Environment = platform()) {
    const { fetch = environment.fetch, giveUpAfterSeconds = GIVE_UP_AFTER_SECONDS } = options;
    this.#environment = { ...environment, fetch };
    this.#token = options.token;
    if (!(giveUpAfterSeconds >= 0 && giveUpAfterSeconds <= LONGEST_GIVE_UP_SECONDS)) {
      throw new TypeError(
        `giveUpAfterSeconds: expected 0 to ${LONGEST_GIVE_UP_SECONDS}, got ${giveUpAfterSeconds}`,
      );
    }
    this.#giveUpAfterMs = giveUpAfterSeconds * 1_000;
    this.#url = absoluteUrl(options.url, environment.baseUrl);
    if (options.channel !== undefined) {
      this.#url.searchParams.set("channel", options.channel);
    }
  }

  /**
   * Publishes one event, or up to 1,000 events of at most 1 MiB together. Events of one call are stored in order, all
   * or none of them. An empty array resolves at once.
   *
   * @param options `signal` gives up the call. Events that are stored by then stay stored
   * @returns the receipts, once the events are durable
   * @throws SSEProblem the refusal, or the last problem when the time is up. In the second case the events may be
   *   stored: publish again with the same keys to find out
   * @throws TypeError for data that JSON cannot hold
   * @throws the reason of `signal` when it aborts
   */
  publish(event: NewEvent, options?: { readonly signal?: AbortSignal }): Promise<Receipt>;
  publish(events: readonly NewEvent[], options?: { readonly signal?: AbortSignal }): Promise<Receipt[]>;
  async publish(
    given: NewEvent | readonly NewEvent[],
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<Receipt | Receipt[]> {
    const events = Array.isArray(given) ? (given as readonly NewEvent[]) : [given as NewEvent];
    if (events.length === 0) {
      return [];
    }
    const keyed = events.map(({ fields, ...event }) => ({
      ...fields,
      ...event,
      key: event.key ?? crypto.randomUUID(),
    }));
    const receipts = await this.#deliver(JSON.stringify(keyed), signal);
    const [first] = receipts;
    if (receipts.length !== events.length || first === undefined) {
      throw new SSEProblem("answer", `Expected ${events.length} receipts, got ${receipts.length}.`);
    }
    return Array.isArray(given) ? receipts : first;
  }

  async #deliver(body: string, signal: AbortSignal | undefined): Promise<Receipt[]> {
    const { after, random } = this.#environment;
    const backoff = new Backoff(random);
    const deadline = new AbortController();
    const cancelDeadline = after(this.#giveUpAfterMs, () => deadline.abort());
    let refresh = false;
    try {
      for (;;) {
        try {
          return await this.#attempt(body, refresh, signal);
        } catch (error) {
          signal?.throwIfAborted();
          const problem = toProblem(error);
          const asksAgain: boolean = problem.status === 401 && typeof this.#token === "function" && !refresh;
          if (problem.final && !asksAgain) {
            throw problem;
          }
          refresh ||= asksAgain;
          await this.#wait(backoff.next(problem.retryAfterMs), signal, deadline.signal);
          signal?.throwIfAborted();
          if (deadline.signal.aborted) {
            throw problem;
          }
        }
      }
    } finally {
      cancelDeadline();
    }
  }

  async #attempt(body: string, refresh: boolean, signal: AbortSignal | undefined): Promise<Receipt[]> {
    const { fetch, after } = this.#environment;
    const abort = new AbortController();
    const stop = (): void => abort.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", stop);
    const cancel = after(ANSWER_DEADLINE_MS, () => {
      abort.abort(new SSEProblem("timeout", "No answer arrived in time."));
    });
    const aborted = new Promise<never>((_, reject) => {
      abort.signal.addEventListener("abort", () => reject(abort.signal.reason));
    });
    const send = async (): Promise<Receipt[]> => {
      const headers = { "Content-Type": "application/json", ...(await bearer(this.#token, refresh)) };
      const response = await fetch(this.#url.href, { method: "POST", headers, body, signal: abort.signal });
      if (response.status === 200) {
        return await readReceipts(response);
      }
      throw await this.#refusal(response);
    };
    try {
      return await Promise.race([send(), aborted]);
    } finally {
      cancel();
      signal?.removeEventListener("abort", stop);
    }
  }

  async #refusal(response: Response): Promise<SSEProblem> {
    const problem = await readRefusal(response, this.#environment);
    const { code, status, retryAfterMs, errors, message } = problem;
    // A service without a publish token answers 503, and waiting does not change that.
    const final = !PASSING_STATUSES.has(response.status) || code === "not_configured";
    return new SSEProblem(code, message, { final, status, retryAfterMs, errors });
  }

  /** Waits for a delay, or until one of the signals aborts. */
  #wait(ms: number, ...signals: readonly (AbortSignal | undefined)[]): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel();
        for (const signal of signals) {
          signal?.removeEventListener("abort", done);
        }
        resolve();
      };
      const cancel = this.#environment.after(ms, done);
      for (const signal of signals) {
        signal?.addEventListener("abort", done);
        if (signal?.aborted === true) {
          done();
        }
      }
    });
  }
}

async function readReceipts(response: Response): Promise<Receipt[]> {
  const receipts = memberOf(parseData(await response.text()), "events");
  if (!Array.isArray(receipts)) {
    throw new SSEProblem("answer", "Expected receipts in the answer, got none.");
  }
  return receipts as Receipt[];
}
