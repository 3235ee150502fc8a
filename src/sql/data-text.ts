import type { StoredEvent } from "../hub/log/event-log.ts";

type Content = Pick<StoredEvent, "data" | "isText">;

/**
 * Marks the text of an event in the column of its data. No JSON begins with it, so the column needs no other beside it, which
 * every read would pay for.
 */
const TEXT_MARK = ":";

export function dataText({ data, isText }: Content): string {
  return isText ? `${TEXT_MARK}${data}` : data;
}

export function contentOf(stored: string): Content {
  const isText = stored.startsWith(TEXT_MARK);
  return { data: isText ? stored.slice(TEXT_MARK.length) : stored, isText };
}
