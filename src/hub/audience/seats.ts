/** Why a client is refused for want of a seat. */
export const CHANNEL_FULL = "All connections of this channel are in use.";

/** The places that the clients of one audience may take. A hub has a fixed number. A relay leases its seats from the hub. */
export interface Seats {
  /** How many clients may be registered now. */
  readonly limit: number;
  /**
   * Asks for one more seat than are taken. Resolves when the answer has arrived; `limit` tells whether it was granted.
   * Does not reject because no seat is free.
   *
   * @throws HubError `relay_full` if another relay should take the client
   */
  request(): Promise<void>;
  /** Notes that a client has left. */
  left(): void;
}

/** Seats that are always there. */
export function fixedSeats(limit: number): Seats {
  return { limit, request: () => Promise.resolve(), left: () => {} };
}
