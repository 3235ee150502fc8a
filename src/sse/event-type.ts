/** The form of an event type. The type becomes the `event` field, so it must not be able to end a line. */
const EVENT_TYPE = /^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}$/;

/**
 * Types that a publisher may not use. Some belong to the service, others have a meaning in browsers: a published `open`
 * would fire `onopen`, a published `error` would fire `onerror`.
 */
const RESERVED_TYPES: ReadonlySet<string> = new Set([
  "connected",
  "gap",
  "error",
  "close",
  "heartbeat",
  "open",
  "caught_up",
]);

/**
 * The type of an event that has none. [spec] "If the event type buffer is the empty string, set the type of the newly created
 * event to `message`": its frame needs no `event` field, and clients that only use `onmessage` get it.
 */
export const DEFAULT_TYPE = "message";

/** Whether a text has the form of an event type, reserved or not. */
export function isEventType(text: string): boolean {
  return EVENT_TYPE.test(text);
}

/** Whether a type is reserved. */
export function isReservedType(type: string): boolean {
  return RESERVED_TYPES.has(type);
}
