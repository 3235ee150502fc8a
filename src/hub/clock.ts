/** Time, passed in so that tests own it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once after a delay; the answer cancels. */
  after(ms: number, callback: () => void): () => void;
  /** Resolves after everything else that is ready has had its turn. */
  turn(): Promise<void>;
}
