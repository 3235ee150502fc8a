/** The answer of `POST /api/tickets`. */
export interface TicketAnswer {
  readonly ticket: string;
  /** Seconds until the ticket expires. */
  readonly expires_in: number;
  readonly expires_at: string;
}
