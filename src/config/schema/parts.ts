import { z } from "zod";

/** An integer between two bounds, both included. The error completes the sentence "expected ...". */
export function integer(least: number, most: number) {
  const error = `an integer from ${least} to ${most}`;
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export function word<const Words extends readonly [string, ...string[]]>(words: Words) {
  return z.enum(words, { error: `one of ${words.join(", ")}` });
}

export function text(longest: number) {
  const error = `a string of 1 to ${longest} characters`;
  return z.string({ error }).min(1, { error }).max(longest, { error });
}

/** A group of keys. Every key has a default, so the whole section may be left out. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, { error: "a mapping of keys to values" });
}

/** Reports each repeated entry of a list. */
export function reportRepeated(message: string) {
  return (entries: readonly string[], context: z.core.$RefinementCtx<string[]>) => {
    for (const [index, entry] of entries.entries()) {
      if (entries.indexOf(entry) < index) {
        context.addIssue({ code: "custom", path: [index], message });
      }
    }
  };
}
