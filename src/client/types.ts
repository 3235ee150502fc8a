import type { CaughtUpNotice, CloseNotice, ConnectedNotice, ErrorNotice, GapNotice } from "../wire/frames.ts";
import type { SSEProblem } from "./problem.ts";
import type { FetchLike, Id, Token, Where } from "./request-types.ts";

/**
 * - `connecting`: the first attempt after `connect()` is under way.
 * - `connected`: the stream is open.
 * - `reconnecting`: the stream is lost, or paused while the page is hidden. The client reopens it by itself.
 * - `disconnected`: the client waits for `connect()`.
 */
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "disconnected";

/** An event, as a listener gets it. */
export interface SSEEvent<Data = unknown, Type extends string = string> {
  readonly type: Type;
  /** The id of the event. An event without an id of its own has the last id before it. */
  readonly id: string;
  /** The parsed JSON, or a string if the event was published with a text. */
  readonly data: Data;
  /**
   * The time at which the service stored the event. Only published events have it, and only with the option
   * `envelope`.
   */
  readonly publishedAt?: Date | undefined;
}

/**
 * The events of the service itself. A listener of `"*"` does not get them.
 *
 * @public
 */
export interface ServiceEvents {
  /** A stream has opened. Comes again after every reconnect. */
  connected: ConnectedNotice;
  /** Some events are no longer stored. The ones that are stored follow. Load the current state from elsewhere. */
  gap: GapNotice;
  /** The service ends this stream. The client reconnects by itself, except after `kicked`. */
  close: CloseNotice;
  /** The replay is complete, and the stream is live from here on. Comes only with the option `caughtUp`. */
  caught_up: CaughtUpNotice;
  /** Something recoverable happened to this stream. It has nothing to do with `onError`. */
  error: ErrorNotice;
}

/** The types that `on` takes: `"*"` for every published event, the types of the service, and your own. */
export type EventName<Events> = "*" | keyof ServiceEvents | (keyof Events & string);

/**
 * The data of an event type.
 *
 * @public
 */
export type EventData<Events, Type> = Type extends "*"
  ? Events[keyof Events]
  : Type extends keyof ServiceEvents
    ? ServiceEvents[Type]
    : Type extends keyof Events
      ? Events[Type]
      : unknown;

/** Called with the data of an event. If it throws, the error is reported, and other listeners and the stream go on. */
export type EventListener<Events, Type> = (
  data: EventData<Events, Type>,
  event: SSEEvent<EventData<Events, Type>, Type extends "*" ? keyof Events & string : Type & string>,
) => void;

/** Called after a change of state. `problem` is the reason why the stream was lost, if there is one. */
export type StateListener = (
  state: ConnectionState,
  previous: ConnectionState,
  problem: SSEProblem | undefined,
) => void;

/** An attempt to reconnect that the client has scheduled. */
export interface Retry {
  /** The problem that ended the stream or the last attempt. */
  readonly problem: SSEProblem;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
}

export interface SSEClientOptions {
  /**
   * The URL of the stream, which must be absolute where there is no page. Its query is kept. Default: `/api/events`.
   */
  url?: string | URL | undefined;
  /** The channel, `[a-z0-9][a-z0-9_-]{0,63}`. Default: the channel `default`. */
  channel?: string | undefined;
  /** Up to 100 exact types, or prefixes that end in `*` like `turn_*`. Default, and for an empty array: all types. */
  types?: readonly string[] | undefined;
  /**
   * Only events whose fields have these values: `{ tenant_id: "a" }`, or up to 100 values for a field. The names are those of
   * `filters.fields` in the configuration of the service. Events without the field are left out. Default: all events.
   */
  where?: Where | undefined;
  /** Short for `where: { project_id: ... }`. */
  projectId?: Id | readonly Id[] | undefined;
  /** Short for `where: { agent_id: ... }`. */
  agentId?: Id | readonly Id[] | undefined;
  /**
   * The start of a client that has no last id: a duration back (`"90s"`, `"10m"`, `"2h"`, `"1d"`; 1 second to 365
   * days), a time (a `Date`, or ISO 8601 with `Z` or an offset), or `"earliest"`. Default: only new events.
   */
  since?: string | Date | undefined;
  /**
   * Asks for each event in an envelope, so that listeners get the time at which it was stored as `event.publishedAt`.
   * Each frame grows by about 100 bytes. Default: false.
   */
  envelope?: boolean | undefined;
  /** Asks for the event `caught_up`, which comes once on each stream, when it has no more stored events. Default: false. */
  caughtUp?: boolean | undefined;
  /** Resume after this id, for example one that an earlier page has kept. Give its `log` too. Default: none. */
  lastEventId?: string | undefined;
  /**
   * The `log` of the client that `lastEventId` is from. Without it, a channel that was wiped may go unnoticed.
   * Default: none.
   */
  log?: string | undefined;
  /**
   * Sent as `Authorization: Bearer`. A function is called before each attempt, and once more after a 401. Default:
   * none.
   */
  token?: Token | undefined;
  /**
   * Opens the stream with a ticket instead of the token, for networks where the header of a stream would be lost or
   * logged. The client buys a ticket before each attempt by a `POST` that carries the token. `true` sends it to
   * `tickets` beside `url`. A URL sends it there, for example to a backend that has the token and passes on the answer
   * of the service. Default: false.
   */
  ticket?: boolean | string | URL | undefined;
  /** Disconnects when it aborts. `connect()` does nothing afterwards. Default: none. */
  signal?: AbortSignal | undefined;
  /** Sends cookies to another origin too. Default: false. */
  withCredentials?: boolean | undefined;
  /** The function that sends requests. Default: the global `fetch`. */
  fetch?: FetchLike | undefined;
  /**
   * Reconnects when nothing has arrived for 2.5 to 3 heartbeat intervals, a random value for each client. The service
   * names its interval. With `false`, a connection that died silently goes unnoticed. Default: true.
   */
  watchdog?: boolean | undefined;
  /**
   * Seconds until a hidden page closes its stream, 0 to 86,400. It resumes after its last id when it is visible again.
   * `false` keeps the stream open. Default: 300.
   */
  pauseWhenHiddenSeconds?: number | false | undefined;
  /**
   * Shares one connection among all tabs and workers of this origin that ask for the same stream. One of them holds it
   * and passes everything on. When that one is closed, another resumes after its own last id. Without this, a seventh
   * tab gets no stream over HTTP/1.1, because a browser opens only 6 connections to a host.
   *
   * The token of the tab that connects counts for all of them. If tabs can belong to different users, give a string
   * that identifies the user: only tabs with the same string share. Without Web Locks or BroadcastChannel, for example
   * in a page that is not secure, each tab connects alone. Default: false.
   */
  shared?: boolean | string | undefined;
}
