import type { StoredEvent } from "./event-log.ts";

/** A stored event as one line of JSON: the object of the history route and of an envelope. */
export function eventJson({ seq, type, data, isText, fields, publishedAt }: StoredEvent): string {
  const rest = JSON.stringify({ ...fields, published_at: new Date(publishedAt).toISOString() });
  // Data is stored as JSON, so it goes in unchanged.
  const content = isText ? `"text":${JSON.stringify(data)}` : `"data":${data}`;
  return `{"id":"${seq}","type":${JSON.stringify(type)},${content},${rest.slice(1)}`;
}
