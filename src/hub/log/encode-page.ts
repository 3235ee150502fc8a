import { encodeEvent, encodeText } from "../../sse/encode.ts";
import type { EventForm, Filter } from "../filter.ts";
import { eventJson } from "./event-json.ts";
import type { StoredEvent } from "./event-log.ts";
import type { Page } from "./log-view.ts";

/** An envelope makes the smallest events up to this many times larger, so the pages of envelopes hold fewer events. */
const ENVELOPE_FACTOR = 4;

const encoder = new TextEncoder();

/** A scanned part of a log. */
export interface Scanned {
  /** The events that the filter lets through. */
  readonly matching: readonly StoredEvent[];
  /** The last seq that was scanned. */
  readonly through: number;
}

/** The most bytes of events, as `sizeOf` counts them, whose frames fit into a page. */
export function sizeWithin(maxBytes: number, { form }: Filter): number {
  return form === "envelope" ? maxBytes / ENVELOPE_FACTOR : maxBytes;
}

/**
 * The page of a scanned part.
 *
 * @param cursor after which the part begins
 * @param isLive whether the page tells when its first event was stored
 */
export function encodePage(
  cursor: number,
  { matching, through }: Scanned,
  form: EventForm,
  isLive: boolean,
): Page {
  let text = "";
  for (const event of matching) {
    text += form === "envelope" ? encodeEvent(event.type, event.seq, eventJson(event)) : frameOf(event);
  }
  return {
    bytes: matching.length === 0 ? null : encoder.encode(text),
    cursor: through,
    lastId: matching.at(-1)?.seq ?? cursor,
    events: matching.length,
    publishedAt: isLive ? (matching[0]?.publishedAt ?? null) : null,
  };
}

function frameOf({ type, seq, data, isText }: StoredEvent): string {
  return isText ? encodeText(type, seq, data) : encodeEvent(type, seq, data);
}
