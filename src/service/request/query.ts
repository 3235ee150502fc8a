import { LIST_ENTRIES } from "../../auth/claims.ts";
import type { EventForm, FilterTerms } from "../../hub/filter.ts";
import type { StartRequest } from "../../hub/log/log-view.ts";
import { isEventType } from "../../sse/event-type.ts";
import { prefixOf } from "../../hub/pattern.ts";
import type { ProblemItem } from "../../wire/problem.ts";
import { Problem } from "../response/problem.ts";
import { CHANNEL_FORM, DEFAULT_CHANNEL, isChannelName } from "./channel-name.ts";
import { parseInstant } from "./instant.ts";
import { isPlainText } from "./plain-text.ts";

/** The longest value of a field, in characters. */
const VALUE_LENGTH = 128;

/** How many characters are kept of an event id or a log name. A client may send any text. */
const CLAIM_LENGTH = 64;

/** Whether a text may be the value of a field. Lists of values in a query are separated by commas. */
export function isFieldValue(text: string): boolean {
  return isPlainText(text, VALUE_LENGTH) && !text.includes(",");
}

/**
 * Reads the parameters of a request. It collects all mistakes, unknown parameters included, and `finish` throws them
 * together.
 */
export class Query {
  readonly #parameters: URLSearchParams;
  readonly #errors: ProblemItem[] = [];

  /** @param ignored parameters that libraries add to their requests */
  constructor(parameters: URLSearchParams, known: readonly string[], ignored: readonly string[] = []) {
    this.#parameters = parameters;
    for (const name of new Set(parameters.keys())) {
      if (!known.includes(name) && !ignored.includes(name)) {
        this.#mistake(
          name.slice(0, 64),
          `Unknown parameter. ${known.length === 0 ? "This route has none" : `Expected one of ${known.join(", ")}`}.`,
        );
      }
    }
  }

  get hasMistakes(): boolean {
    return this.#errors.length > 0;
  }

  /** @throws Problem `invalid_parameter` with every mistake */
  finish(): void {
    const [first] = this.#errors;
    if (first !== undefined) {
      const detail = `${first.field}: ${first.detail}`;
      throw new Problem("invalid_parameter", detail, { errors: this.#errors });
    }
  }

  /** A parameter that may be given once; null if it is absent. */
  single(name: string): string | null {
    const values = this.#parameters.getAll(name);
    if (values.length > 1) {
      this.#mistake(name, "Expected this parameter once.");
    }
    return values[0] ?? null;
  }

  /** A short text without control characters; null if it is absent or wrong. */
  text(name: string): string | null {
    const text = this.single(name);
    if (text !== null && !isPlainText(text, VALUE_LENGTH)) {
      this.#mistake(name, `Expected 1 to ${VALUE_LENGTH} characters without control characters.`);
      return null;
    }
    return text;
  }

  /** `channel`, or the default channel. */
  channel(): string {
    const channel = this.single("channel") ?? DEFAULT_CHANNEL;
    if (!isChannelName(channel)) {
      this.#mistake("channel", `Expected ${CHANNEL_FORM}.`);
    }
    return channel;
  }

  /** A whole number within bounds; null if it is absent or wrong. */
  integer(name: string, least: number, most: number): number | null {
    const text = this.single(name);
    if (text === null) {
      return null;
    }
    const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= least && value <= most)) {
      this.#mistake(name, `Expected a whole number from ${least} to ${most}.`);
      return null;
    }
    return value;
  }

  /** `types`, and the fields of this deployment. */
  filter(fields: readonly string[]): FilterTerms {
    const types = this.#list("types");
    const isAll = types?.length === 1 && types[0] === "";
    const named = types === null || isAll ? null : this.#checked("types", types, isTypeTerm, TYPE_TERM);
    const values = fields.map((name) => [name, this.#values(name)] as const);
    const given = values.filter((pair): pair is readonly [string, readonly string[]] => pair[1] !== null);
    return {
      ...(named && { types: named }),
      ...(given.length > 0 && { fields: Object.fromEntries(given) }),
    };
  }

  /** `last_event_id` (or `lastEventId`), `log` and `since`. A bad id is not a mistake: the stream reports a gap. */
  start(header: string | null, now: number): StartRequest {
    const ids = [
      header,
      ...this.#parameters.getAll("last_event_id"),
      ...this.#parameters.getAll("lastEventId"),
    ];
    return {
      lastEventId: cut(ids.find((id) => id !== null && id !== "")),
      logName: cut(this.#parameters.get("log")),
      since: this.#since(now),
    };
  }

  /** `after`, `log` and `since` of the history. Without a start, the history begins with the oldest event. */
  historyStart(now: number): StartRequest {
    const since = this.#since(now) ?? "oldest";
    return { lastEventId: cut(this.single("after")), logName: cut(this.#parameters.get("log")), since };
  }

  /** `on_busy=stream`: whether a refused client gets a stream that says so. */
  streamsWhenBusy(): boolean {
    const value = this.single("on_busy");
    if (value !== null && value !== "stream") {
      this.#mistake(
        "on_busy",
        'Expected "stream". Leave the parameter out for a refusal with an error status.',
      );
    }
    return value === "stream";
  }

  /** `envelope=1`: whether the data of a frame is the whole stored event. */
  form(): EventForm {
    return this.flag("envelope", "get the data of events alone") ? "envelope" : "data";
  }

  /** A parameter whose only value is `1`. */
  flag(name: string, otherwise: string): boolean {
    const value = this.single(name);
    if (value !== null && value !== "1") {
      this.#mistake(name, `Expected "1". Leave the parameter out to ${otherwise}.`);
    }
    return value === "1";
  }

  #since(now: number): StartRequest["since"] {
    const text = this.single("since");
    if (text === null || text === "earliest") {
      return text;
    }
    const instant = parseInstant(text, now);
    if (instant === null) {
      const detail =
        'Expected a duration (90s, 10m, 2h, 1d; 1 s to 365 d), an ISO 8601 time with Z or an offset, or "earliest".';
      this.#mistake("since", detail);
    }
    return instant;
  }

  #values(name: string): readonly string[] | null {
    const entries = this.#list(name);
    const expected = `1 to ${VALUE_LENGTH} characters without control characters`;
    return entries && this.#checked(name, entries, isFieldValue, expected);
  }

  #list(name: string): readonly string[] | null {
    const values = this.#parameters.getAll(name);
    return values.length === 0 ? null : values.join(",").split(",", LIST_ENTRIES + 1);
  }

  #checked(
    name: string,
    entries: readonly string[],
    isValid: (entry: string) => boolean,
    expected: string,
  ): readonly string[] {
    if (entries.length > LIST_ENTRIES) {
      this.#mistake(name, `Expected at most ${LIST_ENTRIES} entries.`);
    } else if (entries.includes("")) {
      this.#mistake(
        name,
        entries.length === 1
          ? "Expected at least one entry. Leave the parameter out to get all events."
          : "An entry is empty.",
      );
    } else {
      const wrong = entries.findIndex((entry) => !isValid(entry));
      if (wrong !== -1) {
        this.#mistake(name, `Entry ${wrong + 1}: expected ${expected}.`);
      }
    }
    return entries;
  }

  #mistake(field: string, detail: string): void {
    this.#errors.push({ field, detail });
  }
}

/** Cuts a text to the length of our ids and names. A cut text matches none of them. An empty text counts as absent. */
function cut(text: string | null | undefined): string | null {
  return text?.slice(0, CLAIM_LENGTH) || null;
}

const TYPE_TERM = "an event type, a prefix ending in *, or * alone";

function isTypeTerm(term: string): boolean {
  return term === "*" || isEventType(prefixOf(term) ?? term);
}
