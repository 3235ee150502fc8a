import type { Clock } from "../hub/clock.ts";
import { HubError } from "../hub/errors.ts";
import type { FilterTerms } from "../hub/filter.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";
import { readHistoryAnswer } from "./history-answer.ts";
import { refusalOf, unusable } from "./http-refusal.ts";
import type { FeedStart, Upstream } from "./upstream.ts";

/** How long the upstream may take to begin a stream, and to answer a request for history in full. */
const ANSWER_MS = 10_000;

/** The longest history. A hub sends at most 1 MiB. */
const HISTORY_BYTES = 1024 * 1024 + 64 * 1024;

/** The longest body of a refusal. */
const PROBLEM_BYTES = 64 * 1024;

/** Where the events of a channel come from. */
export interface HttpSource {
  /** The address of the service, without the path of a route. */
  readonly url: string;
  readonly channel: string;
  /** The token that subscribes to all events of the channel; null if the channel is public. */
  readonly token: string | null;
}

/** A hub that is reached by HTTP: the same routes that serve browsers. Redirects are refused: they would carry the token away. */
export class HttpUpstream implements Upstream {
  readonly #source: HttpSource;
  readonly #fetch: typeof fetch;
  readonly #clock: Clock;

  constructor(source: HttpSource, fetcher: typeof fetch, clock: Clock) {
    this.#source = source;
    this.#fetch = fetcher;
    this.#clock = clock;
  }

  async open(from: FeedStart, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const late = new AbortController();
    const cancel = this.#clock.after(ANSWER_MS, () => late.abort(new Error("no stream began in time")));
    try {
      const response = await this.#ask(
        this.#streamUrl(from),
        {
          Accept: "text/event-stream",
          ...(from.cursor !== null && { "Last-Event-ID": String(from.cursor) }),
        },
        AbortSignal.any([signal, late.signal]),
      );
      return await bodyOf(response, "text/event-stream");
    } finally {
      cancel();
    }
  }

  async history(request: HistoryRequest): Promise<HistoryPage> {
    const late = new AbortController();
    const cancel = this.#clock.after(ANSWER_MS, () => late.abort(new Error("no history came in time")));
    try {
      const response = await this.#ask(
        this.#historyUrl(request),
        { Accept: "application/json" },
        late.signal,
      );
      const body = await bodyOf(response, "application/json");
      return readHistoryAnswer(await textOf(body, HISTORY_BYTES, late.signal));
    } catch (error) {
      throw error instanceof HubError || error instanceof BrokenUpstreamError
        ? error
        : new HubError("hub_unreachable", "The source of this channel cannot be reached at the moment.");
    } finally {
      cancel();
    }
  }

  /** @throws HubError unless the answer is a success */
  async #ask(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
    const { token } = this.#source;
    const response = await this.#fetch(url.href, {
      headers: { ...headers, ...(token !== null && { Authorization: `Bearer ${token}` }) },
      redirect: "manual",
      signal,
    });
    if (response.status !== 200) {
      throw refusalOf(response, await problemOf(response, signal), this.#clock.now());
    }
    return response;
  }

  #streamUrl({ cursor, logName, since }: FeedStart): URL {
    const url = this.#url("/api/events");
    url.searchParams.set("envelope", "1");
    if (cursor === null) {
      url.searchParams.set("since", new Date(since).toISOString());
    } else if (logName !== null) {
      url.searchParams.set("log", logName);
    }
    return url;
  }

  #historyUrl({ terms, start, limit }: HistoryRequest): URL {
    const url = this.#url("/api/history");
    const { searchParams } = url;
    setTerms(searchParams, terms);
    searchParams.set("limit", String(limit));
    const { lastEventId, logName, since } = start;
    if (lastEventId !== null) {
      searchParams.set("after", lastEventId);
      if (logName !== null) {
        searchParams.set("log", logName);
      }
    } else if (since !== null && since !== "oldest") {
      // Without a start, the route begins with the oldest event.
      searchParams.set("since", typeof since === "number" ? new Date(since).toISOString() : since);
    }
    return url;
  }

  #url(path: string): URL {
    const { url: base, channel } = this.#source;
    const url = new URL(base.replace(/\/*$/, path));
    url.searchParams.set("channel", channel);
    return url;
  }
}

function setTerms(parameters: URLSearchParams, { types, fields }: FilterTerms): void {
  const lists = { types, ...fields };
  for (const [name, list] of Object.entries(lists)) {
    if (list !== undefined) {
      parameters.set(name, list.join(","));
    }
  }
}

/** @throws HubError for an answer of another type */
async function bodyOf(response: Response, type: string): Promise<ReadableStream<Uint8Array>> {
  const [found = ""] = (response.headers.get("Content-Type") ?? "").split(";");
  if (response.body === null || found.trim().toLowerCase() !== type) {
    await discard(response);
    throw unusable(response, 60);
  }
  return response.body;
}

async function problemOf(response: Response, signal: AbortSignal): Promise<string> {
  const isJson = /\bjson\b/i.test(response.headers.get("Content-Type") ?? "");
  if (response.body === null || !isJson) {
    await discard(response);
    return "";
  }
  try {
    return await textOf(response.body, PROBLEM_BYTES, signal);
  } catch {
    return "";
  }
}

async function discard(response: Response): Promise<void> {
  await response.body?.cancel().catch(() => {});
}

/** @throws BrokenUpstreamError if the body is too long or not UTF-8 */
async function textOf(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const reader = body.getReader();
  // Not every fetch ends the body with its signal.
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", cancel);
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let text = "";
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      bytes += value?.byteLength ?? 0;
      if (bytes > maxBytes) {
        throw new BrokenUpstreamError(`an answer of the upstream has more than ${maxBytes} bytes`);
      }
      text += utf8.decode(value, { stream: !done });
      if (done) {
        return text;
      }
    }
  } catch (error) {
    throw error instanceof TypeError && !signal.aborted
      ? new BrokenUpstreamError("an answer of the upstream was cut or is not UTF-8")
      : error;
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}
