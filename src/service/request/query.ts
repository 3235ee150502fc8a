import { LIST_ENTRIES } from "../../auth/claims.ts";
import type { EventForm, FilterTerms } from "../../hub/filter.ts";
import type { StartRequest } from "../../hub/log/log-view.ts";
import { isEventType } from "../../sse/event-type.ts";
import { prefixOf } from "../../hub/pattern.ts";
import type { ProblemItem } from "../../wire/problem.ts";
import { Problem } from "../response/problem.ts";
import { isChannelName } from "./channel-name.ts";
import { parseInstant } from "./instant.ts";
import { isPlainText } from "./plain-text.ts";

/** Characters of an id of a project or an agent. */
const ID_LENGTH = 128;

/** Characters of an id or a log's name that a client claims to have got from us. */
const CLAIM_LENGTH = 64;

const DEFAULT_CHANNEL = "default";

/** Whether a text may be the id of a project or an agent: it must fit into a comma list of a query. */
export function isId(text: string): boolean {
  return isPlainText(text, ID_LENGTH) && !text.includes(",");
}

/**
 * Reads the parameters of one request. Every mistake is collected, a parameter that nobody knows among them;
 * `finish` throws them all.
 */
export class Query {
  readonly #parameters: URLSearchParams;
  readonly #errors: ProblemItem[] = [];

  constructor(parameters: URLSearchParams, known: readonly string[]) {
    this.#parameters = parameters;
    for (const name of new Set(parameters.keys())) {
      if (!known.includes(name)) {
        this.#mistake(name.slice(0, 64), `Unknown parameter. Known here: ${known.join(", ") || "none"}.`);
      }
    }
  }

  get hasMistakes(): boolean {
    return this.#errors.length > 0;
  }

  /** @throws Problem `invalid_parameter` that names every mistake. */
  finish(): void {
    const [first] = this.#errors;
    if (first !== undefined) {
      const detail = `${first.field}: ${first.detail}`;
      throw new Problem("invalid_parameter", detail, { errors: this.#errors });
    }
  }

  /** A parameter that is given once at most; null when absent. */
  single(name: string): string | null {
    const values = this.#parameters.getAll(name);
    if (values.length > 1) {
      this.#mistake(name, "Given more than once.");
    }
    return values[0] ?? null;
  }

  /** The `channel`; the default one when absent. */
  channel(): string {
    const channel = this.single("channel") ?? DEFAULT_CHANNEL;
    if (!isChannelName(channel)) {
      this.#mistake("channel", "Expected a name of the form [a-z0-9][a-z0-9_-]{0,63}.");
    }
    return channel;
  }

  /** A whole number within bounds; null when absent or wrong. */
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

  /** `types`, `project_id` and `agent_id`. */
  filter(): FilterTerms {
    const types = this.#list("types");
    const isAll = types?.length === 1 && types[0] === "";
    const named = types === null || isAll ? null : this.#checked("types", types, isTypeTerm, TYPE_TERM);
    const projectIds = this.#ids("project_id");
    const agentIds = this.#ids("agent_id");
    return {
      ...(named && { types: named }),
      ...(projectIds && { projectIds }),
      ...(agentIds && { agentIds }),
    };
  }

  /** `last_event_id` (or `lastEventId`), `log` and `since`. A bad id is no mistake: the stream answers it with a gap. */
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

  /** `after` of the history, which is read from the oldest event without it, and `log` and `since` as of a stream. */
  historyStart(now: number): StartRequest {
    const since = this.#since(now) ?? "oldest";
    return { lastEventId: cut(this.single("after")), logName: cut(this.#parameters.get("log")), since };
  }

  /** `on_busy`: whether a client without a place is told so by a stream. */
  streamsWhenBusy(): boolean {
    const value = this.single("on_busy");
    if (value !== null && value !== "stream") {
      this.#mistake("on_busy", 'Expected "stream", or nothing.');
    }
    return value === "stream";
  }

  /** `envelope=1`: whether each event comes with everything that is stored of it. */
  form(): EventForm {
    const value = this.single("envelope");
    if (value !== null && value !== "1") {
      this.#mistake("envelope", 'Expected "1", or nothing.');
    }
    return value === "1" ? "envelope" : "data";
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

  #ids(name: string): readonly string[] | null {
    const entries = this.#list(name);
    return (
      entries && this.#checked(name, entries, isId, `1 to ${ID_LENGTH} characters, no control characters`)
    );
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
      this.#mistake(name, `Expected ${LIST_ENTRIES} entries at most.`);
    } else if (entries.includes("")) {
      this.#mistake(name, entries.length === 1 ? "Expected at least one entry." : "An entry is empty.");
    } else {
      const wrong = entries.findIndex((entry) => !isValid(entry));
      if (wrong !== -1) {
        this.#mistake(name, `Entry ${wrong + 1} is not valid. Expected ${expected}.`);
      }
    }
    return entries;
  }

  #mistake(field: string, detail: string): void {
    this.#errors.push({ field, detail });
  }
}

/** No id and no name of ours is longer: what is cut off cannot make a wrong one right. Empty is none. */
function cut(text: string | null | undefined): string | null {
  return text?.slice(0, CLAIM_LENGTH) || null;
}

const TYPE_TERM = "a type, a prefix of types ending in *, or * alone";

function isTypeTerm(term: string): boolean {
  return term === "*" || isEventType(prefixOf(term) ?? term);
}
