import { setTimeout as sleep } from "node:timers/promises";

export interface UntilOptions {
  /** The awaited condition, for the message of the failure. */
  what: string | (() => string);
  timeoutMs?: number;
  everyMs?: number;
}

/** Asks until the answer is neither false nor null nor undefined, and returns it. */
export async function until<T>(
  probe: () => T | Promise<T>,
  { what, timeoutMs = 5_000, everyMs = 10 }: UntilOptions,
): Promise<NonNullable<Exclude<T, false>>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const answer = await probe();
    if (answer !== false && answer !== null && answer !== undefined) {
      return answer as NonNullable<Exclude<T, false>>;
    }
    if (performance.now() >= deadline) {
      throw new Error(`Waited ${timeoutMs} ms for ${typeof what === "string" ? what : what()}`);
    }
    await sleep(everyMs);
  }
}

/** Like `until`, but asks again only when rung: nothing is polled while a hundred clients wait. */
export interface Bell {
  ring(): void;
  until<T>(probe: () => T, options: Omit<UntilOptions, "everyMs">): Promise<NonNullable<Exclude<T, false>>>;
}

export function createBell(): Bell {
  const waiting = new Set<() => void>();
  return {
    ring: () => {
      for (const ask of waiting) {
        ask();
      }
    },
    until: <T>(probe: () => T, { what, timeoutMs = 5_000 }: Omit<UntilOptions, "everyMs">) =>
      new Promise<NonNullable<Exclude<T, false>>>((resolve, reject) => {
        const ask = (): void => {
          const answer = probe();
          if (answer !== false && answer !== null && answer !== undefined) {
            clearTimeout(deadline);
            waiting.delete(ask);
            resolve(answer as NonNullable<Exclude<T, false>>);
          }
        };
        const deadline = setTimeout(() => {
          waiting.delete(ask);
          reject(new Error(`Waited ${timeoutMs} ms for ${typeof what === "string" ? what : what()}`));
        }, timeoutMs);
        waiting.add(ask);
        ask();
      }),
  };
}
