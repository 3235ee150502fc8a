import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { FloodMemory } from "../../../../src/service/access/flood.ts";
import { HubError } from "../../../../src/hub/errors.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

/** The refusal of an address that has used up its connects. */
const used = (retryAfterSeconds: number) => () =>
  Promise.reject(new HubError("rate_limited", "Too many.", { retryAfterSeconds }));

const floods = new FloodMemory({ now: () => Date.now() });
let asked = 0;
let addresses = 0;

/** An address of this test alone, because refusals are remembered longer than a test takes. */
const newAddress = (): string => `address-${addresses++}`;

/** Asks for a stream. Returns after how many seconds to ask again; 0 if the stream was opened. */
async function ask(
  address: string | null,
  { channel = "default", hub }: { channel?: string; hub?: () => Promise<Response> } = {},
): Promise<number> {
  const answer = hub ?? (() => Promise.resolve(new Response()));
  try {
    await floods.unlessFlooding(channel, address, () => {
      asked++;
      return answer();
    });
    return 0;
  } catch (error) {
    if (error instanceof HubError && error.code === "rate_limited") {
      return error.retryAfterSeconds ?? Number.NaN;
    }
    throw error;
  }
}

beforeEach(() => {
  asked = 0;
  vi.useFakeTimers({ now: HOUR, toFake: ["Date"] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe("an address that the hub has refused", () => {
  it("does not reach the hub again until its minute is over", async () => {
    const address = newAddress();
    expect(await ask(address, { hub: used(40) })).toBe(40);
    vi.setSystemTime(HOUR + 39.5 * SECOND);
    expect(await ask(address)).toBe(1);
    expect(asked).toBe(1);
    vi.setSystemTime(HOUR + 40 * SECOND);
    expect(await ask(address)).toBe(0);
  });

  it("reaches other channels, and other addresses reach this channel", async () => {
    const address = newAddress();
    await ask(address, { hub: used(40) });
    expect(await ask(address, { channel: "other" })).toBe(0);
    expect(await ask(newAddress())).toBe(0);
    expect(await ask(null)).toBe(0);
  });

  it("does not wait longer after the clock was set back", async () => {
    const address = newAddress();
    await ask(address, { hub: used(40) });
    vi.setSystemTime(0);
    expect(await ask(address)).toBe(0);
  });

  it("is forgotten after 10,000 other addresses", async () => {
    const first = newAddress();
    await ask(first, { hub: used(40) });
    for (let count = 0; count < 10_000; count++) {
      await ask(newAddress(), { hub: used(40) });
    }
    expect(await ask(first)).toBe(0);
  });
});
