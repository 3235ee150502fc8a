/** The state of a promise. */
export interface Outcome<Value> {
  /** `waiting`, `done`, or for a failure the code of its error, else its message, else `failed`. */
  readonly state: string;
  readonly value: Value | null;
}

/** Watches a promise without waiting for it. */
export function outcomeOf<Value>(promise: Promise<Value>): Outcome<Value> {
  const outcome: { state: string; value: Value | null } = { state: "waiting", value: null };
  const look = async (): Promise<void> => {
    try {
      outcome.value = await promise;
      outcome.state = "done";
    } catch (error) {
      const { code, message } = (error ?? {}) as { code?: string; message?: string };
      outcome.state = code ?? message ?? "failed";
    }
  };
  void look();
  return outcome;
}
