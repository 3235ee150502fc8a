import { seqOf } from "../hub/log/event-id.ts";
import type { StoredEvent } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { Gap } from "../hub/log/log-view.ts";
import type { HistoryAnswer } from "../wire/events.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";
import { readEnvelope } from "./envelope.ts";

/** The members of an answer, of which nothing is known yet. */
type Unknown<Answer> = { readonly [Name in keyof Answer]?: unknown };

/**
 * Reads the answer of `GET /api/history`.
 *
 * @throws BrokenUpstreamError for anything else
 */
export function readHistoryAnswer(text: string): HistoryPage {
  const { events, next, more, oldest_id, latest_id, gap } = objectOf<HistoryAnswer>(parse(text));
  const latest = idOf(latest_id);
  const oldest = oldest_id === null ? null : idOf(oldest_id);
  if (!Array.isArray(events) || typeof more !== "boolean" || (oldest !== null && oldest > latest)) {
    throw new BrokenUpstreamError("the history of the upstream lacks events, or its ids are wrong");
  }
  return {
    events: events.map((event): StoredEvent => readEnvelope(event)),
    next: idOf(next),
    more,
    oldest,
    latest,
    gap: gap === undefined ? null : readGap(gap),
  };
}

function readGap(value: unknown): Gap {
  const { reason, requested_id, oldest_id, latest_id } = objectOf<NonNullable<HistoryAnswer["gap"]>>(value);
  const latest = idOf(latest_id);
  const oldest = oldest_id === null ? latest + 1 : idOf(oldest_id);
  const isRequestedValid = requested_id === null || typeof requested_id === "string";
  if ((reason !== "expired" && reason !== "unknown") || !isRequestedValid || oldest > latest + 1) {
    throw new BrokenUpstreamError("a gap in the history of the upstream is not valid");
  }
  return { reason, requestedId: requested_id, oldest, latest };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BrokenUpstreamError("the history of the upstream is not JSON");
  }
}

function objectOf<Answer>(value: unknown): Unknown<Answer> {
  if (typeof value !== "object" || value === null) {
    throw new BrokenUpstreamError("the history of the upstream is no object");
  }
  return value;
}

function idOf(value: unknown): number {
  const seq = typeof value === "string" ? seqOf(value) : null;
  if (seq === null) {
    throw new BrokenUpstreamError("the history of the upstream has an invalid id");
  }
  return seq;
}
