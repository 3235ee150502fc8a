import { LISTED_MISTAKES } from "../../hub/errors.ts";
import type { NewEvent } from "../../hub/log/event-log.ts";
import { isEventType, isReservedType } from "../../sse/event-type.ts";
import { isChannelName } from "./channel-name.ts";
import { Problem } from "../response/problem.ts";
import type { ProblemItem } from "../../wire/problem.ts";
import { isPlainText } from "./plain-text.ts";
import type { Item } from "./publish-body.ts";
import { isId } from "./query.ts";

/** Bytes of the data of one event, serialised. A whole frame stays below 64 KiB, at which Go's clients end a line. */
const DATA_BYTES = 65_000;

/** Levels of the data of one event: what reads it must not run out of stack. */
const DATA_DEPTH = 500;

const KEY_LENGTH = 128;

const MEMBERS: ReadonlySet<string> = new Set(["type", "data", "project_id", "agent_id", "channel", "key"]);

const UNKNOWN_MEMBER = `Unknown member. Known are ${[...MEMBERS].join(", ")}.`;

const encoder = new TextEncoder();
const scratch = new Uint8Array(DATA_BYTES);

/** An event that has passed, and where it stood in the request. */
export interface PlacedEvent {
  readonly position: Item["position"];
  readonly event: NewEvent;
}

/** Events that have passed, all of one channel. */
export interface PassedEvents {
  readonly channel: string;
  readonly events: readonly PlacedEvent[];
}

/**
 * The gate for everything that a publisher sends: whatever is stored has passed here. Nothing is repaired; what is not
 * as it should be is refused, and the whole request with it.
 *
 * @param asked the channel of the query, for events that name none.
 * @throws Problem `invalid_event`, `conflicting_field`, `mixed_channels` or `event_too_large`
 */
export function readEvents(items: readonly Item[], asked: string): PassedEvents {
  const mistakes: ProblemItem[] = [];
  const conflicts: ProblemItem[] = [];
  const tooLarge: ProblemItem[] = [];
  const channels = new Set<string>();
  const events: PlacedEvent[] = [];
  for (const { position, value } of items) {
    const gate = new EventGate(value);
    channels.add(gate.channel(asked));
    const event = gate.event();
    events.push({ position, event });
    mistakes.push(...gate.mistakes.map((mistake) => ({ ...position, ...mistake })));
    conflicts.push(...gate.conflicts.map((conflict) => ({ ...position, ...conflict })));
    if (event.dataBytes > DATA_BYTES) {
      tooLarge.push({ ...position, field: "data", detail: `Expected ${DATA_BYTES} bytes of JSON at most.` });
    }
    if (mistakes.length >= LISTED_MISTAKES) {
      break;
    }
  }
  refuse("invalid_event", mistakes);
  refuse("conflicting_field", conflicts);
  const [channel = asked, ...others] = channels;
  if (others.length > 0) {
    throw new Problem("mixed_channels", "All events of one request go to one channel.");
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

/** Reads one event, and collects what is wrong with it. */
class EventGate {
  readonly mistakes: ProblemItem[] = [];
  /** Fields that have one value in the event and another one in its data. */
  readonly conflicts: ProblemItem[] = [];
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(value: unknown) {
    this.#members = isObject(value) ? value : {};
    if (value === undefined) {
      this.mistakes.push({ detail: "This is not valid JSON." });
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
    this.#mistake("channel", "Expected a name of the form [a-z0-9][a-z0-9_-]{0,63}.");
    return asked;
  }

  event(): NewEvent {
    if (this.mistakes.length > 0 && Object.keys(this.#members).length === 0) {
      return { type: "", data: "", dataBytes: 0, projectId: null, agentId: null, key: null };
    }
    this.#refuseUnknownMembers();
    return {
      type: this.#type(),
      ...this.#data(),
      projectId: this.#id("project_id"),
      agentId: this.#id("agent_id"),
      key: this.#key(),
    };
  }

  /** An event can have 100,000 members: no more of them are looked at than an answer lists. */
  #refuseUnknownMembers(): void {
    for (const name in this.#members) {
      if (!MEMBERS.has(name)) {
        this.#mistake(name.slice(0, 64), UNKNOWN_MEMBER);
      }
      if (this.mistakes.length >= LISTED_MISTAKES) {
        return;
      }
    }
  }

  #type(): string {
    const { type } = this.#members;
    if (typeof type !== "string" || !isEventType(type)) {
      this.#mistake("type", "Expected a text of the form [A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}.");
      return "";
    }
    if (isReservedType(type)) {
      this.#mistake("type", "This type is reserved for the service.");
    }
    return type;
  }

  #data(): Pick<NewEvent, "data" | "dataBytes"> {
    const { data } = this.#members;
    const fault = data === undefined ? "Expected any JSON value." : faultOf(data, DATA_DEPTH);
    if (fault !== null) {
      this.#mistake("data", fault);
      return { data: "null", dataBytes: 0 };
    }
    const json = JSON.stringify(data);
    const { read, written } = encoder.encodeInto(json, scratch);
    return { data: json, dataBytes: read < json.length ? DATA_BYTES + 1 : written };
  }

  /**
   * The value that filters and grants compare. Readers may look at the one in the data, so a publisher whose grant
   * covers the one must not be able to send the other.
   */
  #id(name: "project_id" | "agent_id"): string | null {
    const { data, [name]: own } = this.#members;
    const inData = isObject(data) && Object.hasOwn(data, name) ? toId(data[name]) : null;
    if (own === undefined || own === null) {
      return inData;
    }
    const id = toId(own);
    if (id === null) {
      this.#mistake(
        name,
        "Expected a safe integer, or 1 to 128 characters without comma or control characters.",
      );
    } else if (inData !== null && inData !== id) {
      this.conflicts.push({ field: name, detail: "The event has one value and its data another." });
    }
    return id;
  }

  #key(): string | null {
    const { key } = this.#members;
    if (key === undefined || key === null) {
      return null;
    }
    if (typeof key !== "string" || !isPlainText(key, KEY_LENGTH)) {
      this.#mistake("key", `Expected a text of 1 to ${KEY_LENGTH} characters, without control characters.`);
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

/** Ids are compared as strings: a number by its decimal text. */
function toId(value: unknown): string | null {
  if (typeof value === "number") {
    return Number.isSafeInteger(value) ? String(value) : null;
  }
  return typeof value === "string" && isId(value) ? value : null;
}

/** Why a value cannot be carried by value; null when it can. JSON reads `1e999` as Infinity and would write null. */
function faultOf(value: unknown, depth: number): string | null {
  if (typeof value === "number") {
    return Number.isFinite(value) ? null : "A number is too large for an IEEE double.";
  }
  if (typeof value !== "object" || value === null) {
    return null;
  }
  if (depth === 0) {
    return `Expected ${DATA_DEPTH} levels at most.`;
  }
  for (const part of Array.isArray(value) ? value : Object.values(value)) {
    const fault = faultOf(part, depth - 1);
    if (fault !== null) {
      return fault;
    }
  }
  return null;
}
