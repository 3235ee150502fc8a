import type { CloseNotice, Connected, ErrorNotice, GapNotice } from "../wire/frames.ts";
import type { SSEProblem } from "./problem.ts";
import type { FetchLike, Id, Token } from "./request-types.ts";

/**
 * - `connecting`: the first attempt after `connect()` is under way.
 * - `connected`: events arrive.
 * - `reconnecting`: the stream is lost, or paused while the page is hidden; it comes back by itself.
 * - `disconnected`: nothing happens until `connect()`.
 */
export type ConnectionState = "connecting" | "connected" | "reconnecting" | "disconnected";

/** What a listener gets beside the data. */
export interface SSEEvent<Data = unknown, Type extends string = string> {
  readonly type: Type;
  /** The event's id; of an event that has none of its own, the last id before it. */
  readonly id: string;
  /** The parsed JSON; the text as it came if it is not JSON. */
  readonly data: Data;
  /** When the service stored the event. Only with the option `envelope`, and not on frames of the service itself. */
  readonly publishedAt?: Date | undefined;
}

/**
 * What the service itself says on a stream. Listeners of `"*"` do not get these.
 *
 * @public
 */
export interface ServiceEvents {
  /** A stream has opened: the first one, and again after every reconnect. */
  connected: Connected;
  /** Events that this client was owed are missing. What is kept follows; load the rest from elsewhere. */
  gap: GapNotice;
  /** The service ends this stream. The client comes back by itself, except after `kicked`. */
  close: CloseNotice;
  /** Something recoverable happened to this stream. Nothing to do with `onError`. */
  error: ErrorNotice;
}

/** The types that `on` takes: `"*"` (every published event), those of the service, and your own. */
export type EventName<Events> = "*" | keyof ServiceEvents | (keyof Events & string);

/**
 * The data that comes with a type.
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

/** Called with the data of an event. What it throws is reported and harms neither other listeners nor the stream. */
export type EventListener<Events, Type> = (
  data: EventData<Events, Type>,
  event: SSEEvent<EventData<Events, Type>, Type extends "*" ? keyof Events & string : Type & string>,
) => void;

/** Called after a change of state. `problem`: why the stream was lost or has stopped, when something did that. */
export type StateListener = (
  state: ConnectionState,
  previous: ConnectionState,
  problem: SSEProblem | undefined,
) => void;

/** A reconnect that is about to be tried. */
export interface Retry {
  /** What ended the stream or the last attempt. */
  readonly problem: SSEProblem;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
}

/** Every option has a default; give none that you do not need. */
export interface SSEClientOptions {
  /** The stream. Relative to the page; absolute where there is no page. Default: `/api/events`. */
  url?: string | URL | undefined;
  /** The channel, `[a-z0-9][a-z0-9_-]{0,63}`. Default: the service's `default`. */
  channel?: string | undefined;
  /** Exact types, or prefixes ending in `*` (`turn_*`); 100 at most. Default, and when empty: all. */
  types?: readonly string[] | undefined;
  /** Only events of these projects; 100 at most. An event that names none is left out. Default: all events. */
  projectId?: Id | readonly Id[] | undefined;
  /** Only events of these agents, likewise. */
  agentId?: Id | readonly Id[] | undefined;
  /**
   * Where a client without a last id starts: a duration back (`"90s"`, `"10m"`, `"2h"`, `"1d"`), a time, or
   * `"earliest"`. Default: with what is published from now on.
   */
  since?: string | Date | undefined;
  /**
   * Ask for each event in an envelope, so that listeners get the time at which it was stored as `event.publishedAt`. A
   * frame is longer by about 100 bytes. Default: false.
   */
  envelope?: boolean | undefined;
  /** Resume after this id, e.g. one kept from an earlier page. Give its `log` too. Default: none. */
  lastEventId?: string | undefined;
  /** The log that `lastEventId` belongs to: `client.log` at that time. Without it a wiped channel may go unnoticed. */
  log?: string | undefined;
  /** Sent as `Authorization: Bearer`. A function is asked before each connect, and once more after a 401. Default: none. */
  token?: Token | undefined;
  /**
   * Before each connect the token goes into a `POST` for a ticket, and the stream is opened with that, for a way on which
   * the header of a stream would be lost or logged. `true`: asked of the service's `tickets` beside `url`; a URL: asked
   * there, e.g. of a backend that has the token and hands on what the service answers. Default: false.
   */
  ticket?: boolean | string | URL | undefined;
  /** Aborting it disconnects; `connect()` does nothing afterwards. Default: none. */
  signal?: AbortSignal | undefined;
  /** Send cookies to another origin, too. Default: false. */
  withCredentials?: boolean | undefined;
  /** Used instead of the global `fetch`. */
  fetch?: FetchLike | undefined;
  /**
   * Reconnect when nothing, not even a heartbeat, came for 2.5 to 3 heartbeat intervals (random for each client; the
   * service says how long one is). `false`: a connection that died without a word goes unnoticed. Default: true.
   */
  watchdog?: boolean | undefined;
  /**
   * Seconds after which a hidden page lets its connection go; it resumes after its last id as soon as it is visible.
   * 0: at once. `false`: never. At most 86,400. Default: 300.
   */
  pauseWhenHiddenSeconds?: number | false | undefined;
  /**
   * All tabs (and workers) of this origin that ask for the same stream share one connection: one of them holds it and
   * passes everything on; when it goes, another resumes after the last id. Over HTTP/1.1 a browser opens 6 connections
   * to a host and no more: without sharing, a seventh tab waits in vain. A text shares only with tabs that gave the
   * same one: use it when tabs may belong to different users, since the token of the one that connects counts for all.
   * Without Web Locks or BroadcastChannel (e.g. on a page that is not secure) each connects alone. Default: false.
   */
  shared?: boolean | string | undefined;
}
