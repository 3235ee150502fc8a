/** A registered client, as an operator sees it. Times are ISO 8601 in UTC. */
export interface ClientRow {
  readonly id: string;
  /** The relay that holds the client. Absent if the hub holds it. */
  readonly relay?: string;
  readonly connected_at: string;
  readonly last_event_at: string | null;
  readonly last_written_at: string;
  /** How long its write has been pending. */
  readonly pending_ms: number;
  readonly token_ends_at: string | null;
  /** The id that the client brought. */
  readonly resumed_from: string | null;
  /** `types`, and each field of the deployment. Null selects all. */
  readonly filter: Readonly<Record<string, readonly string[] | null>>;
  readonly cursor: string;
  /** The number of events between its cursor and the head. */
  readonly lag: number;
  readonly events_sent: number;
}

/** The answer of `GET /api/admin/clients`. */
export interface ClientsAnswer {
  readonly channel: string;
  readonly clients: readonly ClientRow[];
  /** The `after` of the next page; null if this is the last one. */
  readonly next: string | null;
}

/** The answer of `DELETE /api/admin/clients/{id}`. */
export interface KickAnswer {
  readonly id: string;
  readonly kicked: true;
}

/** The answer of `POST /api/admin/drain`. */
export interface DrainAnswer {
  readonly channels: number;
  /** The number of streams that were ended. */
  readonly closed: number;
  readonly draining_until: string;
}

/** The answer of `POST /api/admin/resume`. */
export interface ResumeAnswer {
  readonly channels: number;
}

/** The answer of `POST /api/admin/shutdown`, which only the local launcher may use. */
export interface ShutdownAnswer {
  readonly channels: number;
  readonly closed: number;
  /** The number of ended streams whose peers have not accepted the end. */
  readonly lingering: number;
}
