/** What a relay asks its hub for. It states everything, so a request that is repeated or lost does no harm. */
export interface LeaseRequest {
  /** The name of the relay within its channel: `region/number`. */
  readonly relay: string;
  /** A random name of this life of the relay. A relay that is started again has another one. */
  readonly life: string;
  /** How many clients the relay has. */
  readonly used: number;
  /** How many seats it wants to hold. Fewer than it holds gives seats back. */
  readonly wanted: number;
  /** Whether it takes no more clients because its object holds as many streams as it can. */
  readonly isFull: boolean;
}

/** The hub's answer. */
export interface Lease {
  /** How many seats the relay holds now. */
  readonly held: number;
  /** Rises with each change of this relay's lease. A relay ignores an answer that is older than the newest it knows. */
  readonly version: number;
  /** How long the lease is valid, unless the relay renews it. */
  readonly validMs: number;
  /** The relay to which clients should go instead if this one has no seat for them; null if the channel is full. */
  readonly next: string | null;
  /** Where the relay's feed comes from: null is the hub itself, otherwise the name of another relay. */
  readonly parent: string | null;
  /** Whether the hub has a stream to this life of the relay. If not, the relay opens a new one at once. */
  readonly isAttached: boolean;
}

/** What a relay answers when the hub calls seats back. */
export interface Recalled {
  readonly life: string;
  /** How many seats the relay still holds. */
  readonly held: number;
  readonly used: number;
}
