/** The data of the frames that the service itself sends on a stream. */

/** The first frame of every stream. */
export interface ConnectedNotice {
  readonly client_id: string;
  readonly channel: string;
  /** The id after which this stream delivers. */
  readonly last_event_id: string;
  /** The name of the log to which the ids belong. */
  readonly log: string;
  readonly heartbeat_interval_seconds: number;
}

/** Events that the client asked for are missing. The kept events follow. */
export interface GapNotice {
  /** The id that the client asked for, cut at 64 characters; null if it asked for a time. */
  readonly requested_id: string | null;
  /** Null if no event is kept. */
  readonly oldest_id: string | null;
  readonly latest_id: string;
  /**
   * `expired`: the events are no longer kept. `unknown`: the id is not one of this log, e.g. because storage was wiped.
   */
  readonly reason: "expired" | "unknown";
}

/** The replay is complete. */
export interface CaughtUpNotice {
  /** The id that the stream has reached. */
  readonly last_event_id: string;
}

/** The service ends this stream. */
export interface CloseNotice {
  readonly reason: string;
  /** How long to wait before reconnecting. */
  readonly retry_after_ms: number;
}

/** Something recoverable happened to this stream. */
export interface ErrorNotice {
  readonly error_type: string;
  readonly message: string;
  readonly retryable: boolean;
}
