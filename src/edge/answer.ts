import { HubError, type RefusalCode, type EventMistake } from "../hub/errors.ts";

/** What an object's method answers over RPC, which carries no error class of ours: a value, or a refusal as data. */
export type Answer<Value> = { readonly value: Value } | { readonly refusal: Refusal };

interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
  readonly errors: readonly EventMistake[];
  readonly retryAfterSeconds: number | undefined;
}

/** In the object: runs the work; what it refuses becomes data, what breaks is thrown on. */
export async function answer<Value>(work: () => Value | Promise<Value>): Promise<Answer<Value>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof HubError) {
      const { code, message: detail, errors, retryAfterSeconds } = error;
      return { refusal: { code, detail, errors, retryAfterSeconds } };
    }
    throw error;
  }
}

/** In the Worker: the value, or the refusal thrown again. */
export function unwrap<Value>(answered: Answer<Value>): Value {
  if ("refusal" in answered) {
    const { code, detail, ...rest } = answered.refusal;
    throw new HubError(code, detail, rest);
  }
  return answered.value;
}
