import { createParser } from "eventsource-parser";

/** One event as a client sees it. */
export interface SeenEvent {
  readonly type: string;
  readonly id: string | undefined;
  readonly data: string;
}

/** The contents of a stream, as an independent parser decodes them. */
export interface Seen {
  readonly text: string;
  readonly events: readonly SeenEvent[];
  readonly comments: readonly string[];
  readonly retries: readonly number[];
  /** The `Last-Event-ID` that a browser would send. */
  readonly lastEventId: string;
}

/** Decodes the bytes of a stream from its start. Invalid UTF-8 is an error, not a replaced character. */
export function decodeStream(chunks: readonly Uint8Array[] | string): Seen {
  const events: SeenEvent[] = [];
  const comments: string[] = [];
  const retries: number[] = [];
  let lastEventId = "";
  const parser = createParser({
    onEvent: ({ event = "message", id, data }) => events.push({ type: event, id, data }),
    onComment: (comment) => comments.push(comment),
    onRetry: (retry) => retries.push(retry),
    onId: (id) => {
      lastEventId = id;
    },
    onError: (error) => {
      throw error;
    },
  });
  const text = typeof chunks === "string" ? chunks : toText(chunks);
  parser.feed(text);
  return { text, events, comments, retries, lastEventId };
}

/** The data of an event, parsed as JSON. */
export function dataOf(event: SeenEvent | undefined): Readonly<Record<string, unknown>> {
  return JSON.parse(event?.data ?? "null") as Record<string, unknown>;
}

function toText(chunks: readonly Uint8Array[]): string {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode();
}
