import type { NewEvent } from "../../hub/log/event-log.ts";
import type { ProblemItem } from "../../wire/problem.ts";

/**
 * The most bytes of the serialised data of an event, or of its text. A whole frame with data stays below 64 KiB, the longest
 * line of Go's clients.
 */
export const CONTENT_BYTES = 65_000;

/** The deepest nesting of the data of an event, so that no reader of it runs out of stack. */
const DATA_DEPTH = 500;

/** What each line of a text costs in a frame, besides its characters and its line end. */
const LINE_BYTES = "data: ".length;

const encoder = new TextEncoder();
const scratch = new Uint8Array(CONTENT_BYTES);

/** What an event carries. */
export type Content = Pick<NewEvent, "data" | "isText" | "dataBytes">;

interface ReadContent extends Content {
  readonly mistake?: ProblemItem;
  readonly isTooLarge?: boolean;
}

/** Reads `data` or `text` of an event, which must have exactly one of them. */
export function readContent(members: Readonly<Record<string, unknown>>): ReadContent {
  const { data, text } = members;
  if (text === undefined) {
    return readData(data);
  }
  return data === undefined
    ? readText(text)
    : refused("text", "The event has data too. Send only one of data and text.");
}

function readData(data: unknown): ReadContent {
  if (data === undefined) {
    return refused("data", "Expected a JSON value. Only an event with a text needs none.");
  }
  const fault = faultOf(data, DATA_DEPTH);
  if (fault !== null) {
    return refused("data", fault);
  }
  const json = JSON.stringify(data);
  const bytes = bytesOf(json);
  return { data: json, isText: false, dataBytes: bytes, isTooLarge: bytes > CONTENT_BYTES };
}

/** Refuses NUL, at which some readers end a string, and text that UTF-8 cannot carry. */
function readText(text: unknown): ReadContent {
  if (typeof text !== "string" || text === "" || text.includes("\u0000") || !text.isWellFormed()) {
    return refused("text", `Expected a string of 1 to ${CONTENT_BYTES} bytes of UTF-8 without NUL.`);
  }
  const bytes = bytesOf(text);
  const breaks = text.match(/\r\n|\r|\n/g)?.length ?? 0;
  return {
    data: text,
    isText: true,
    dataBytes: bytes + breaks * LINE_BYTES,
    isTooLarge: bytes > CONTENT_BYTES,
  };
}

function refused(field: "data" | "text", detail: string): ReadContent {
  return { data: "null", isText: false, dataBytes: 0, mistake: { field, detail } };
}

/** The bytes of a text in UTF-8, or one more than allowed if there are too many. */
function bytesOf(text: string): number {
  const { read, written } = encoder.encodeInto(text, scratch);
  return read < text.length ? CONTENT_BYTES + 1 : written;
}

/** Why a value cannot be stored; null if it can. JavaScript reads `1e999` as Infinity, which JSON would write as null. */
function faultOf(value: unknown, depth: number): string | null {
  if (typeof value === "number") {
    return Number.isFinite(value) ? null : "Expected numbers within the range of an IEEE double.";
  }
  if (typeof value !== "object" || value === null) {
    return null;
  }
  if (depth === 0) {
    return `Expected at most ${DATA_DEPTH} levels of nesting.`;
  }
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    const fault = faultOf(part, depth - 1);
    if (fault !== null) {
      return fault;
    }
  }
  return null;
}
