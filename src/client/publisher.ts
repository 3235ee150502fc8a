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

/** An attempt that has no answer by then counts as lost: its events may be stored, and the keys find that out. */
const ANSWER_DEADLINE_MS = 10_000;

const GIVE_UP_AFTER_SECONDS = 60;

/** Timers of more than 2^31 ms, or of no number, fire at once. */
const LONGEST_GIVE_UP_SECONDS = 86_400;

/** Refusals that pass by themselves, those of the gateways on the way among them. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** An event to publish. */
export interface NewEvent {
  /** `[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}`; not `connected`, `gap`, `error`, `close`, `heartbeat` or `open`. */
  readonly type: string;
  /** What JSON can hold, at most 65,000 bytes of it. Send integers above 2^53 as strings. */
  readonly data: unknown;
  /** For filters. Default: the one in `data`, if there is one. */
  readonly project_id?: Id | null | undefined;
  readonly agent_id?: Id | null | undefined;
  /** Default: the publisher's. All events of one call go to one channel. */
  readonly channel?: string | undefined;
  /**
   * The idempotency key, 1 to 128 characters. An event whose key is known is not stored again, for as long as the first
   * one is kept. Give your own if your process may be restarted in the middle and publish again. Default: a random one.
   */
  readonly key?: string | undefined;
}

export interface PublisherOptions {
  /** Where to publish, e.g. `https://sse.example/api/publish`. */
  url: string | URL;
  /** The service's `PUBLISH_TOKEN`. A function is asked before each attempt, and once more after a 401. */
  token: Token;
  /** For events that name none. Default: the service's `default`. */
  channel?: string | undefined;
  /** Seconds after which a call that cannot be delivered fails. 0: after the first attempt. At most 86,400. Default: 60. */
  giveUpAfterSeconds?: number | undefined;
  /** Used instead of the global `fetch`. */
  fetch?: FetchLike | undefined;
}

/**
 * Publishes events, and sees to it that each is stored once.
 *
 * A call is repeated after network errors, 408, 429, 502, 503 and 504, with the same growing random delays as a client's
 * or with the `Retry-After` of the service. Every event carries a key, so that a repetition never stores it twice. Calls
 * that run at the same time are not ordered among themselves: await one before the next where the order counts.
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

  /** @throws TypeError for a URL that is none, or a time that is out of range */
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
   * Stores one event, or all of up to 1,000 (1 MiB) or none of them, in order; resolves once that is durable. No events
   * at all resolve at once.
   *
   * @param signal gives up; what is stored by then stays so
   * @throws SSEProblem why nothing could be stored: the refusal, or the last of the problems that kept coming back (then
   *   the events may be stored all the same: publish again with the same keys to find out)
   * @throws TypeError for data that JSON cannot hold
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
    const keyed = events.map((event) => ({ ...event, key: event.key ?? crypto.randomUUID() }));
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
      abort.abort(new SSEProblem("timeout", "No answer came in time."));
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
    // A deployment without a token says 503, but does not get one by waiting.
    const final = !PASSING_STATUSES.has(response.status) || code === "not_configured";
    return new SSEProblem(code, message, { final, status, retryAfterMs, errors });
  }

  /** Waits for a delay, or until a signal says stop. */
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
    throw new SSEProblem("answer", "Expected receipts, got something else.");
  }
  return receipts as Receipt[];
}
