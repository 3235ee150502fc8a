import { NO_FIELDS, type Fields } from "../hub/filter.ts";
import { seqOf } from "../hub/log/event-id.ts";
import { sizeOf, type AppendedEvent, type StoredEvent } from "../hub/log/event-log.ts";
import { isEventType, isReservedType } from "../sse/event-type.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";

const encoder = new TextEncoder();

/**
 * Reads an event as `eventJson` writes it. The data is the same text again, because the hub has stored it as
 * `JSON.stringify` writes it.
 *
 * @throws BrokenUpstreamError for anything else
 */
export function readEnvelope(value: unknown): StoredEvent {
  if (typeof value !== "object" || value === null || !("data" in value || "text" in value)) {
    throw new BrokenUpstreamError("an event of the upstream is no envelope");
  }
  const { id, type, data, text, published_at, ...others } = value as Readonly<Record<string, unknown>>;
  const seq = typeof id === "string" ? seqOf(id) : null;
  const publishedAt = typeof published_at === "string" ? Date.parse(published_at) : Number.NaN;
  if (seq === null || seq === 0 || Number.isNaN(publishedAt)) {
    throw new BrokenUpstreamError("an event of the upstream has no valid id or time");
  }
  // The type becomes a line of a frame: a type with a line break would inject fields.
  if (typeof type !== "string" || !isEventType(type) || isReservedType(type)) {
    throw new BrokenUpstreamError(`event ${seq} of the upstream has no valid type`);
  }
  if (text !== undefined && typeof text !== "string") {
    throw new BrokenUpstreamError(`event ${seq} of the upstream has a text that is no text`);
  }
  const content = { data: text ?? JSON.stringify(data), isText: text !== undefined };
  return { seq, type, ...content, fields: fieldsOf(others), publishedAt };
}

/** An event with its size, as `sizeOf` counts it. */
export function withSize(event: StoredEvent): AppendedEvent {
  const dataBytes = encoder.encode(event.data).byteLength;
  return { ...event, size: sizeOf({ ...event, dataBytes, key: null }) };
}

/** Every field is a text. A hub of a later version may send other members, which are ignored. */
function fieldsOf(members: Readonly<Record<string, unknown>>): Fields {
  const fields = Object.entries(members).filter((member): member is [string, string] => {
    const [, value] = member;
    return typeof value === "string";
  });
  return fields.length === 0 ? NO_FIELDS : Object.fromEntries(fields);
}
