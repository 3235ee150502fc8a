import type { Gap, LogView } from "../log/log-view.ts";

/** Whether a cursor belongs to a log that the view does not show any more. */
export function isOfOtherLog(generation: number, view: LogView): boolean {
  return generation !== (view.generation ?? 0);
}

/** The gap for a client whose cursor belongs to another log: its ids mean nothing, and all events of this log follow. */
export function otherLogGap(cursor: number, view: LogView): Gap {
  return { reason: "unknown", requestedId: String(cursor), oldest: view.oldest(), latest: view.head() };
}
