/** The seats of one life of a relay, as they are stored. */
export interface KeptSeats {
  readonly relay: string;
  readonly life: string;
  readonly held: number;
  readonly version: number;
}

/** Stores which relay holds how many seats, so that a hub that is started again does not lease them twice. */
export interface SeatStore {
  all(): readonly KeptSeats[];
  /** Replaces the row of a life of a relay; 0 held seats delete it. */
  save(seats: KeptSeats): void;
  /** Resolves when everything that was saved is durable. */
  sync(): Promise<void>;
}
