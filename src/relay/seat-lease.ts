/** What a relay asks its hub for. It states everything, so a request that is repeated or lost does no harm. */
export interface LeaseRequest {
  /** The name of the relay within its channel: `region/number`. */
  readonly relay: string;
  /** A random name of this life of the relay. A relay that is started again has another one. */
  readonly life: string;
  /** Rises with each request of this life. The hub changes nothing for a request that it has seen a newer one of. */
  readonly number: number;
  /** The life of the hub that gave the newest answer; null before the first one. */
  readonly hub: string | null;
  /** How many clients the relay has. */
  readonly used: number;
  /** How many connects wait for a seat. */
  readonly waiting: number;
  /** How many seats it wants to hold. Fewer than it holds gives seats back: the relay has stopped using them. */
  readonly wanted: number;
  /** Whether its object has no place for one more client. `wanted` is then the most clients that the object can hold. */
  readonly isFull: boolean;
  /** The `parent` of the newest answer. */
  readonly parent: string | null;
}

/** The hub's answer. */
export interface Lease {
  /** A random name of this life of the hub. A hub that is started again has another one. */
  readonly hub: string;
  /** How many seats the relay holds now. */
  readonly held: number;
  /** Rises with each change of this relay's lease. A relay ignores an answer that is older than the newest it knows. */
  readonly version: number;
  /** How long the lease is valid after the request was sent, unless the relay renews it. */
  readonly validMs: number;
  /** Whether other relays have just been asked for unused seats. The relay gives seats back as soon as clients leave. */
  readonly isScarce: boolean;
  /** Where clients should go if this relay has no seat for them. Empty if the channel is full. */
  readonly next: readonly Place[];
  /** Where the relay's feed comes from: null is the hub itself, otherwise the name of another relay. */
  readonly parent: string | null;
  /**
   * Whether the hub has a stream to this life of the relay. If not, the relay opens a new one at once. Always true for
   * a relay with a parent, because the hub does not see its stream.
   */
  readonly isAttached: boolean;
}

/** A relay that has room. */
export interface Place {
  readonly relay: string;
  /** How many of the waiting clients should go there. */
  readonly clients: number;
}

/** What a relay answers when the hub calls seats back. */
export interface Recalled {
  readonly life: string;
  /** How many seats the relay still holds. */
  readonly held: number;
  readonly used: number;
}
