import { LISTED_MISTAKES } from "../../hub/errors.ts";
import { NO_FIELDS, type Fields } from "../../hub/filter.ts";
import type { NewEvent } from "../../hub/log/event-log.ts";
import { DEFAULT_TYPE, isEventType, isReservedType } from "../../sse/event-type.ts";
import { CHANNEL_FORM, isChannelName } from "./channel-name.ts";
import { Problem } from "../response/problem.ts";
import type { ProblemItem } from "../../wire/problem.ts";
import { CONTENT_BYTES, readContent, type Content } from "./event-content.ts";
import { isPlainText } from "./plain-text.ts";
import type { Item } from "./publish-body.ts";
import { isFieldValue } from "./query.ts";

const KEY_LENGTH = 128;

const MEMBERS = ["type", "data", "text", "channel", "key"];

/** A valid event, and its place in the request. */
export interface PlacedEvent {
  readonly position: Item["position"];
  readonly event: NewEvent;
}

/** The valid events of a request, all of one channel. */
export interface PassedEvents {
  readonly channel: string;
  readonly events: readonly PlacedEvent[];
}

/**
 * The gate for everything that a publisher sends: no event is stored that has not passed it. It repairs nothing. One
 * invalid event refuses the whole request.
 *
 * @param asked the channel in the query, for events that name none
 * @param fields the names of the fields that events may have
 * @throws Problem `invalid_event`, `conflicting_field`, `mixed_channels` or `event_too_large`
 */
export function readEvents(items: readonly Item[], asked: string, fields: readonly string[]): PassedEvents {
  const members = new Set([...MEMBERS, ...fields]);
  const mistakes: ProblemItem[] = [];
  const conflicts: ProblemItem[] = [];
  const tooLarge: ProblemItem[] = [];
  const channels = new Set<string>();
  const events: PlacedEvent[] = [];
  for (const { position, value } of items) {
    const gate = new EventGate(value, fields, members);
    channels.add(gate.channel(asked));
    const event = gate.event();
    events.push({ position, event });
    mistakes.push(...gate.mistakes.map((mistake) => ({ ...position, ...mistake })));
    conflicts.push(...gate.conflicts.map((conflict) => ({ ...position, ...conflict })));
    if (gate.tooLarge !== null) {
      const detail = `Expected at most ${CONTENT_BYTES} bytes${gate.tooLarge === "data" ? " of JSON" : ""}.`;
      tooLarge.push({ ...position, field: gate.tooLarge, detail });
    }
    if (mistakes.length >= LISTED_MISTAKES) {
      break;
    }
  }
  refuse("invalid_event", mistakes);
  refuse("conflicting_field", conflicts);
  const [channel = asked, ...others] = channels;
  if (others.length > 0) {
    throw new Problem(
      "mixed_channels",
      "The events of a request must have the same channel. Send one request for each channel.",
    );
  }
  refuse("event_too_large", tooLarge);
  return { channel, events };
}

function refuse(
  code: "invalid_event" | "conflicting_field" | "event_too_large",
  errors: readonly ProblemItem[],
): void {
  const [first] = errors;
  if (first !== undefined) {
    const where = first.line === undefined ? `event ${first.index}` : `line ${first.line}`;
    const detail = `Nothing was stored: ${where}, ${first.field ?? "event"}: ${first.detail}`;
    throw new Problem(code, detail, { errors });
  }
}

/** Reads one event, and collects its mistakes. */
class EventGate {
  readonly mistakes: ProblemItem[] = [];
  /** The fields that have one value in the event and another in its data. */
  readonly conflicts: ProblemItem[] = [];
  /** The member that has too many bytes, if one has. */
  tooLarge: "data" | "text" | null = null;
  readonly #members: Readonly<Record<string, unknown>>;
  readonly #fields: readonly string[];
  readonly #known: ReadonlySet<string>;

  /** @param known the names of all members that an event may have */
  constructor(value: unknown, fields: readonly string[], known: ReadonlySet<string>) {
    this.#members = isObject(value) ? value : {};
    this.#fields = fields;
    this.#known = known;
    if (value === undefined) {
      this.mistakes.push({ detail: "Expected valid JSON." });
    } else if (!isObject(value)) {
      this.mistakes.push({ detail: "Expected a JSON object." });
    }
  }

  channel(asked: string): string {
    const { channel } = this.#members;
    if (channel === undefined) {
      return asked;
    }
    if (typeof channel === "string" && isChannelName(channel)) {
      return channel;
    }
    this.#mistake("channel", `Expected ${CHANNEL_FORM}.`);
    return asked;
  }

  event(): NewEvent {
    if (this.mistakes.length > 0 && Object.keys(this.#members).length === 0) {
      return { type: "", data: "", isText: false, dataBytes: 0, fields: NO_FIELDS, key: null };
    }
    this.#refuseUnknownMembers();
    return {
      type: this.#type(),
      ...this.#content(),
      fields: this.#fieldValues(),
      key: this.#key(),
    };
  }

  /** Stops after as many mistakes as an answer lists, because an event can have 100,000 members. */
  #refuseUnknownMembers(): void {
    for (const name in this.#members) {
      if (!this.#known.has(name)) {
        const detail = `Unknown member. Expected one of ${[...this.#known].join(", ")}.`;
        this.#mistake(name.slice(0, 64), detail);
      }
      if (this.mistakes.length >= LISTED_MISTAKES) {
        return;
      }
    }
  }

  #type(): string {
    const { type = DEFAULT_TYPE } = this.#members;
    if (typeof type !== "string" || !isEventType(type)) {
      this.#mistake("type", "Expected a string of the form [A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}.");
      return "";
    }
    if (isReservedType(type)) {
      this.#mistake("type", "This type is reserved for frames of the service. Choose another name.");
    }
    return type;
  }

  #content(): Content {
    const { mistake, isTooLarge = false, ...content } = readContent(this.#members);
    if (mistake !== undefined) {
      this.mistakes.push(mistake);
    }
    if (isTooLarge) {
      this.tooLarge = content.isText ? "text" : "data";
    }
    return content;
  }

  #fieldValues(): Fields {
    let fields: Record<string, string> | null = null;
    for (const name of this.#fields) {
      const value = this.#fieldValue(name);
      if (value !== null) {
        fields ??= {};
        fields[name] = value;
      }
    }
    return fields ?? NO_FIELDS;
  }

  /**
   * The value that filters and grants compare. The attack: readers may look at the value in the data, so a publisher with
   * a grant for one project must not be able to store the data of another one.
   */
  #fieldValue(name: string): string | null {
    const { data } = this.#members;
    const inData = isObject(data) ? toValue(memberOf(data, name)) : null;
    const own = memberOf(this.#members, name);
    if (own === undefined || own === null) {
      return inData;
    }
    const value = toValue(own);
    if (value === null) {
      this.#mistake(
        name,
        "Expected a safe integer, or a string of 1 to 128 characters without commas and control characters.",
      );
    } else if (inData !== null && inData !== value) {
      this.conflicts.push({
        field: name,
        detail: "The event and its data have different values. Send the same value in both, or only one.",
      });
    }
    return value;
  }

  #key(): string | null {
    const { key } = this.#members;
    if (key === undefined || key === null) {
      return null;
    }
    if (typeof key !== "string" || !isPlainText(key, KEY_LENGTH)) {
      this.#mistake("key", `Expected a string of 1 to ${KEY_LENGTH} characters without control characters.`);
      return null;
    }
    return key;
  }

  #mistake(field: string, detail: string): void {
    this.mistakes.push({ field, detail });
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A member of its own: `constructor` is the name of a field too. */
function memberOf(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Values of fields are compared as strings. A number counts as its decimal text. */
function toValue(value: unknown): string | null {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) ? String(value) : null;
  }
  return typeof value === "string" && isFieldValue(value) ? value : null;
}
