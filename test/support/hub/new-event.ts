import { NO_FIELDS } from "../../../src/hub/filter.ts";
import type { NewEvent } from "../../../src/hub/log/event-log.ts";

const encoder = new TextEncoder();

/** A valid event. */
export function newEvent(parts: Partial<Omit<NewEvent, "dataBytes">> = {}): NewEvent {
  const { data = "{}" } = parts;
  return {
    type: "tick",
    fields: NO_FIELDS,
    isText: false,
    key: null,
    ...parts,
    data,
    dataBytes: encoder.encode(data).byteLength,
  };
}

/** This many equal events. */
export function newEvents(count: number, parts: Partial<Omit<NewEvent, "dataBytes">> = {}): NewEvent[] {
  return Array.from({ length: count }, () => newEvent(parts));
}
