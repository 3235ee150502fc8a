/** One registered client, as an operator sees it. Times are ISO 8601, in UTC. */
export interface ClientRow {
  readonly id: string;
  readonly connected_at: string;
  readonly last_event_at: string | null;
  readonly last_written_at: string;
  /** How long its oldest write has been pending. */
  readonly pending_ms: number;
  readonly token_ends_at: string | null;
  /** The id that it brought. */
  readonly resumed_from: string | null;
  readonly filter: Readonly<Record<"types" | "project_id" | "agent_id", readonly string[] | null>>;
  readonly cursor: string;
  /** Events between its cursor and the head. */
  readonly lag: number;
  readonly events_sent: number;
}

/** The answer of `GET /api/admin/clients`. */
export interface ClientsAnswer {
  readonly channel: string;
  readonly clients: readonly ClientRow[];
}

/** The answer of `DELETE /api/admin/clients/{id}`. */
export interface KickAnswer {
  readonly id: string;
  readonly kicked: true;
}

/** The answer of `POST /api/admin/drain`. */
export interface DrainAnswer {
  readonly channels: number;
  /** Streams that were ended. */
  readonly closed: number;
  readonly draining_until: string;
}

/** The answer of `POST /api/admin/resume`. */
export interface ResumeAnswer {
  readonly channels: number;
}

/** The answer of `POST /api/admin/shutdown`, which only a local launcher may ask for. */
export interface ShutdownAnswer {
  readonly channels: number;
  readonly closed: number;
  /** Streams whose peers have not taken the end. */
  readonly lingering: number;
}
