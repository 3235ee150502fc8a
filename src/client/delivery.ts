import { isReservedType } from "../sse/event-type.ts";
import type { Cursor } from "./cursor.ts";
import { memberOf, parseData, type Frame } from "./decode.ts";
import { Listeners } from "./listeners.ts";
import type { SSEEvent } from "./types.ts";

/** The name under which listeners get every published event. */
const EVERY = "*";

/** Takes the frames of streams, moves the cursor, and hands events to their listeners: each one once. */
export class Delivery {
  readonly #cursor: Cursor;
  readonly #report: (error: unknown) => void;
  readonly #listeners = new Map<string, Listeners<readonly [unknown, SSEEvent]>>();

  constructor(cursor: Cursor, report: (error: unknown) => void) {
    this.#cursor = cursor;
    this.#report = report;
  }

  on(type: string, listener: (data: unknown, event: SSEEvent) => void): () => void {
    let listeners = this.#listeners.get(type);
    if (listeners === undefined) {
      listeners = new Listeners(this.#report);
      this.#listeners.set(type, listeners);
    }
    return listeners.add(listener);
  }

  /** @param log the log that the frame's id belongs to */
  receive({ id, event }: Frame, log: string | undefined): void {
    const data = event === undefined ? undefined : parseData(event.text);
    const isNews = id === undefined || this.#move({ id, log }, event?.type, data);
    if (event === undefined || !(isNews || event.type === "connected")) {
      return;
    }
    const told = { type: event.type, id: id ?? this.#cursor.id, data };
    this.#listeners.get(event.type)?.call(data, told);
    if (!isReservedType(event.type)) {
      this.#listeners.get(EVERY)?.call(data, told);
    }
  }

  #move(to: { id: string; log: string | undefined }, type: string | undefined, data: unknown): boolean {
    // The service does not know our id, so ours says nothing: its own may well be lower.
    if (type === "gap" && memberOf(data, "reason") === "unknown") {
      this.#cursor.jump(to);
      return true;
    }
    return this.#cursor.move(to);
  }
}
