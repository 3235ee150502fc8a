import { DEFAULT_TYPE } from "./event-type.ts";

/**
 * The writing half of `text/event-stream`.
 * Source: HTML Living Standard, 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
 */

/** The fields of one block of an event stream, in the order in which they are written. */
export interface Frame {
  /** A comment: it keeps a connection alive, and no `EventSource` listener sees it. */
  readonly comment?: string;
  /** The reconnection time in milliseconds. */
  readonly retry?: number;
  /** The event type. If it is absent, a block with data is dispatched as `message`. */
  readonly event?: string;
  /** The id that a reconnect sends as `Last-Event-ID`. */
  readonly id?: string | number;
  /** The data. Each of its lines becomes a `data` line; the reader joins them with LF. */
  readonly data?: string;
}

/** [spec] "end-of-line = ( cr lf / cr / lf )" */
const END_OF_LINE = /\r\n|\r|\n/;

/**
 * Encodes one block, including its blank line.
 *
 * @throws TypeError if a one-line field contains CR, LF or NUL. [spec] "If the field value does not contain U+0000
 *   NULL, then set the last event ID buffer to the field value": an id with NUL would be ignored by the reader, and a
 *   line break would inject a field.
 */
export function encodeFrame(frame: Frame): string {
  let text = "";
  if (frame.comment !== undefined) {
    text += line("", ` ${frame.comment}`);
  }
  if (frame.retry !== undefined) {
    text += line("retry", ` ${frame.retry}`);
  }
  if (frame.event !== undefined) {
    text += line("event", ` ${frame.event}`);
  }
  if (frame.id !== undefined) {
    text += line("id", ` ${frame.id}`);
  }
  if (frame.data !== undefined) {
    for (const part of frame.data.split(END_OF_LINE)) {
      text += `data: ${part}\n`;
    }
  }
  return `${text}\n`;
}

/** Encodes a stored event, whose type and data are single lines. This is the hot path: no check, no split. */
export function encodeEvent(type: string, id: number, data: string): string {
  return type === DEFAULT_TYPE
    ? `id: ${id}\ndata: ${data}\n\n`
    : `event: ${type}\nid: ${id}\ndata: ${data}\n\n`;
}

/** Marks a text that a client would take for JSON. Our client then hands the text over as it is. */
export const TEXT_COMMENT = "text";

/** Encodes a stored event whose data is text: each of its lines becomes a line of data, so it cannot inject a field. */
export function encodeText(type: string, id: number, text: string): string {
  const comment = isJson(text) ? `: ${TEXT_COMMENT}\n` : "";
  return comment + encodeEvent(type, id, text.split(END_OF_LINE).join("\ndata: "));
}

/** How a JSON text begins. Most other texts begin differently, and an exception costs more than this look. */
const JSON_START = /^[ \t\r\n]*["[{\-0-9tfn]/;

function isJson(text: string): boolean {
  if (!JSON_START.test(text)) {
    return false;
  }
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function line(field: string, value: string): string {
  for (let index = 0; index < value.length; index++) {
    const code = value.charCodeAt(index);
    if (code === 0x0a || code === 0x0d || code === 0x00) {
      throw new TypeError(`the ${field || "comment"} field contains a line break or NUL`);
    }
  }
  return `${field}:${value}\n`;
}
