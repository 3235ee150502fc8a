import { describe, expect, it } from "vitest";

import { matchToken } from "../../../src/auth/static-token.ts";

/** So long that a comparison which stops at the first difference shows it beside everything else. */
const secret = "s".repeat(64 * 1024);
const wrongAtFirst = `x${secret.slice(1)}`;
const wrongAtLast = `${secret.slice(0, -1)}x`;

const ROUNDS = 300;

/** The median time of comparing with the one, over that with the other; taken in turns, so that noise meets both. */
async function ratioOf(compare: (given: string) => unknown): Promise<number> {
  const times: [number[], number[]] = [[], []];
  for (let round = 0; round < 2 * ROUNDS; round++) {
    const start = performance.now();
    await compare(round % 2 === 0 ? wrongAtLast : wrongAtFirst);
    times[round % 2 === 0 ? 0 : 1].push(performance.now() - start);
  }
  const [last = 0, first = 1] = times.map((each) => each.toSorted((a, b) => a - b)[ROUNDS / 2]);
  return last / first;
}

/** What must not be: it stops at the first difference. */
function naive(given: string): boolean {
  for (let index = 0; index < secret.length; index++) {
    if (given[index] !== secret[index]) {
      return false;
    }
  }
  return true;
}

describe("The time of a comparison", () => {
  it("does not tell how much of a token was right", async () => {
    const ratio = await ratioOf((given) => matchToken(given, secret));
    expect(ratio).toBeGreaterThan(0.7);
    expect(ratio).toBeLessThan(1.4);
  });

  it("would be seen to tell it, if it did", async () => {
    expect(await ratioOf(naive)).toBeGreaterThan(2);
  });
});
