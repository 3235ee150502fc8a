import type { StoredEvent } from "./event-log.ts";

/** A stored event as one line of JSON: the object of the history route and of an envelope. */
export function eventJson({ seq, type, data, fields, publishedAt }: StoredEvent): string {
  const rest = JSON.stringify({ ...fields, published_at: new Date(publishedAt).toISOString() });
  // The data is stored as JSON, so it goes in unchanged.
  return `{"id":"${seq}","type":${JSON.stringify(type)},"data":${data},${rest.slice(1)}`;
}
