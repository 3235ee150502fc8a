import type { Frame } from "../sse/decode.ts";
import { isReservedType } from "../sse/event-type.ts";
import type { Cursor } from "./cursor.ts";
import { memberOf, parseData } from "./decode.ts";
import { Listeners } from "./listeners.ts";
import type { SSEEvent } from "./types.ts";

const EVERY = "*";

/** Moves the cursor with each frame and calls the listeners of its event, once for each event. */
export class Delivery {
  readonly #cursor: Cursor;
  readonly #isEnveloped: boolean;
  readonly #report: (error: unknown) => void;
  readonly #listeners = new Map<string, Listeners<readonly [unknown, SSEEvent]>>();

  /** @param isEnveloped whether the data of published events comes in envelopes */
  constructor(cursor: Cursor, isEnveloped: boolean, report: (error: unknown) => void) {
    this.#cursor = cursor;
    this.#isEnveloped = isEnveloped;
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
    const { data, publishedAt } = this.#open(event);
    const isNews = id === undefined || this.#move({ id, log }, event?.type, data);
    if (event === undefined || !(isNews || event.type === "connected")) {
      return;
    }
    const told = { type: event.type, id: id ?? this.#cursor.id, data, publishedAt };
    this.#listeners.get(event.type)?.call(data, told);
    if (!isReservedType(event.type)) {
      this.#listeners.get(EVERY)?.call(data, told);
    }
  }

  /** Takes the data of a published event out of its envelope, if the client asked for envelopes. */
  #open(event: Frame["event"]): { data: unknown; publishedAt: Date | undefined } {
    const data = event === undefined || event.isText === true ? event?.text : parseData(event.text);
    const time = memberOf(data, "published_at");
    if (!this.#isEnveloped || event === undefined || isReservedType(event.type) || typeof time !== "string") {
      return { data, publishedAt: undefined };
    }
    return { data: memberOf(data, "text") ?? memberOf(data, "data"), publishedAt: new Date(time) };
  }

  #move(to: { id: string; log: string | undefined }, type: string | undefined, data: unknown): boolean {
    // The service does not know our id, so the two cannot be compared. Its own id may be lower.
    if (type === "gap" && memberOf(data, "reason") === "unknown") {
      this.#cursor.jump(to);
      return true;
    }
    return this.#cursor.move(to);
  }
}
