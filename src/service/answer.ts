import { HubError, type RefusalCode, type EventMistake } from "../hub/errors.ts";

/**
 * The answer of a method that runs in another object or process: a value, or a refusal as plain data, because RPC does not
 * carry our error classes.
 */
export type Answer<Value> = { readonly value: Value } | { readonly refusal: Refusal };

interface Refusal {
  readonly code: RefusalCode;
  readonly detail: string;
  readonly errors: readonly EventMistake[];
  readonly retryAfterSeconds: number | undefined;
  readonly next: string | undefined;
}

/** For the side that answers: runs the work, and turns a `HubError` into data. Other errors are thrown on. */
export async function answer<Value>(work: () => Value | Promise<Value>): Promise<Answer<Value>> {
  try {
    return { value: await work() };
  } catch (error) {
    if (error instanceof HubError) {
      const { code, message: detail, errors, retryAfterSeconds, next } = error;
      return { refusal: { code, detail, errors, retryAfterSeconds, next } };
    }
    throw error;
  }
}

/** For the side that has asked: returns the value, or throws the refusal again. */
export function unwrap<Value>(answered: Answer<Value>): Value {
  if ("refusal" in answered) {
    const { code, detail, ...rest } = answered.refusal;
    throw new HubError(code, detail, rest);
  }
  return answered.value;
}
