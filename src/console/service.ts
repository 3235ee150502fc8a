import type { ClientRow, ClientsAnswer, DrainAnswer } from "../wire/admin.ts";
import type { HistoryAnswer, HistoryEvent, PublishAnswer, Receipt } from "../wire/events.ts";
import type { FiltersAnswer } from "../wire/filters.ts";
import type { HealthAnswer } from "../wire/health.ts";
import type { ProblemBody } from "../wire/problem.ts";
import { channelQuery, filterQuery, type View } from "./view.ts";

/** The requests of this page, except for the stream. */

const ANSWER_DEADLINE_MS = 10_000;

/** The answer of `GET /health`, and its round trip. A number is null if the service hides or lacks it. */
export interface Health {
  readonly status: string;
  readonly version: string;
  readonly reasons: readonly string[];
  readonly activeConnections: number | null;
  readonly maxConnections: number | null;
  readonly lastEventId: number | null;
  /** Null if no event is stored. Undefined if the service hides it. */
  readonly oldestEventId: number | null | undefined;
  readonly roundTripMs: number;
}

/** A refusal, with the text of the service. */
class Refusal extends Error {
  readonly status: number;

  constructor(status: number, text: string) {
    super(text);
    this.name = "Refusal";
    this.status = status;
  }
}

/** The names of the fields that events can be filtered by. None if the service cannot be reached. */
export async function readFields(): Promise<readonly string[]> {
  try {
    return ((await call("/api/filters")) as FiltersAnswer).fields;
  } catch {
    return [];
  }
}

/** @param token reveals numbers that the service hides from others */
export async function readHealth(channel: string, token: string | undefined): Promise<Health> {
  const started = performance.now();
  const response = await fetch(`/health?${channelQuery(channel)}`, {
    cache: "no-store",
    headers: bearer(token),
    signal: AbortSignal.timeout(ANSWER_DEADLINE_MS),
  });
  const roundTripMs = performance.now() - started;
  // A 503 has the same body: it reports a hub that cannot be reached.
  if (!response.ok && response.status !== 503) {
    throw await toRefusal(response);
  }
  const { version, sse } = (await response.json()) as HealthAnswer;
  return {
    status: sse.status,
    version,
    reasons: sse.reasons,
    activeConnections: sse.active_connections ?? null,
    maxConnections: sse.max_connections ?? null,
    lastEventId: toId(sse.last_event_id) ?? null,
    oldestEventId: toId(sse.oldest_event_id),
    roundTripMs,
  };
}

/** The first and the last id of the history. `oldest` is null if no event is stored. */
export async function readRange(
  channel: string,
  token: string | undefined,
): Promise<{ readonly oldest: number | null; readonly latest: number }> {
  const query = channelQuery(channel);
  query.set("limit", "1");
  const answer = await readPage(query, token);
  return { oldest: toId(answer.oldest_id) ?? null, latest: Number(answer.latest_id) };
}

/** Reads events after an id, with the filter of a view. */
export function readHistory(
  view: View,
  token: string | undefined,
  after: number,
  limit: number,
): Promise<HistoryAnswer> {
  const query = filterQuery(view);
  query.set("after", String(after));
  query.set("limit", String(limit));
  return readPage(query, token);
}

/** Reads one event. Undefined if it is no longer stored. */
export async function readEvent(
  channel: string,
  token: string | undefined,
  id: string,
): Promise<HistoryEvent | undefined> {
  const query = channelQuery(channel);
  query.set("after", String(Number(id) - 1));
  query.set("limit", "1");
  const { events } = await readPage(query, token);
  return events.find((event) => event.id === id);
}

export async function publish(
  channel: string,
  token: string,
  event: Readonly<Record<string, unknown>>,
): Promise<Receipt> {
  const answer = (await call(`/api/publish?${channelQuery(channel)}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify(event),
  })) as PublishAnswer;
  const [receipt] = answer.events;
  if (receipt === undefined) {
    throw new Refusal(200, "The service answered without a receipt.");
  }
  return receipt;
}

export async function readClients(channel: string, token: string): Promise<readonly ClientRow[]> {
  const answer = await call(`/api/admin/clients?${channelQuery(channel)}`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  return (answer as ClientsAnswer).clients;
}

export async function kick(channel: string, token: string, client: string): Promise<void> {
  await call(`/api/admin/clients/${encodeURIComponent(client)}?${channelQuery(channel)}`, {
    method: "DELETE",
    headers: { Authorization: `Bearer ${token}` },
  });
}

/** Drains a channel. Resolves with the end of the drain. */
export async function drain(channel: string, token: string, seconds: number): Promise<Date> {
  // Without a channel, the request would drain all channels.
  const query = new URLSearchParams({ channel, for_seconds: String(seconds) });
  const answer = await call(`/api/admin/drain?${query}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
  return new Date((answer as DrainAnswer).draining_until);
}

export async function resume(channel: string, token: string): Promise<void> {
  await call(`/api/admin/resume?${new URLSearchParams({ channel })}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
  });
}

/** Whether the service refused a request for a reason that stays. */
export function isRefused(error: unknown): boolean {
  return error instanceof Refusal && error.status < 500;
}

/** Whether the service requires a token or another one. */
export function isLocked(error: unknown): boolean {
  return error instanceof Refusal && (error.status === 401 || error.status === 403);
}

export function isUnauthorized(error: unknown): boolean {
  return error instanceof Refusal && error.status === 401;
}

/** Describes a failure to a person. */
export function explain(error: unknown): string {
  if (error instanceof Refusal) {
    return error.message;
  }
  return error instanceof DOMException && error.name === "TimeoutError"
    ? "The service did not answer in time."
    : "The service cannot be reached.";
}

function readPage(query: URLSearchParams, token: string | undefined): Promise<HistoryAnswer> {
  return call(`/api/history?${query}`, { headers: bearer(token) }) as Promise<HistoryAnswer>;
}

function bearer(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

function toId(text: string | null | undefined): number | null | undefined {
  return text === null || text === undefined ? text : Number(text);
}

async function call(path: string, init: RequestInit = {}): Promise<unknown> {
  const signal = AbortSignal.timeout(ANSWER_DEADLINE_MS);
  const response = await fetch(path, { cache: "no-store", signal, ...init });
  if (!response.ok) {
    throw await toRefusal(response);
  }
  return response.json();
}

async function toRefusal(response: Response): Promise<Refusal> {
  const problem = (await response.json().catch(() => ({}))) as Partial<ProblemBody>;
  const { title = `HTTP ${response.status}`, detail = "" } = problem;
  return new Refusal(response.status, `${title}. ${detail}`.trim());
}
