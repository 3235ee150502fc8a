/** Time. Passed in, so that tests control it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once after a delay. Returns a function that cancels the call. */
  after(ms: number, callback: () => void): () => void;
  /** Resolves after everything else that is ready to run has run. */
  turn(): Promise<void>;
}
