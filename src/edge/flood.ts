import { HubError } from "../hub/errors.ts";

/** Addresses that are remembered: an attacker has many. The oldest one is forgotten for a new one. */
const ADDRESSES = 10_000;

/** The longest that a hub refuses for. */
const PERIOD_SECONDS = 60;

/** Until when a hub lets an address in no more, by channel and address. Each isolate has its own. */
const refusedUntil = new Map<string, number>();

/**
 * Asks a hub for a stream, unless the address has used up its connects: a flood ends here and costs the hub nothing. The
 * count is the hub's, whose refusals are remembered.
 *
 * @param address null: not limited
 * @throws HubError `rate_limited`, and what the hub throws
 */
export async function unlessFlooding(
  channel: string,
  address: string | null,
  ask: () => Promise<Response>,
): Promise<Response> {
  if (address === null) {
    return ask();
  }
  const key = `${channel} ${address}`;
  const leftMs = (refusedUntil.get(key) ?? 0) - Date.now();
  // A clock can be set back: nobody waits for that time to come round.
  if (leftMs > 0 && leftMs <= PERIOD_SECONDS * 1_000) {
    const detail = "This address has asked for too many streams in a minute.";
    throw new HubError("rate_limited", detail, { retryAfterSeconds: Math.ceil(leftMs / 1_000) });
  }
  try {
    return await ask();
  } catch (error) {
    if (error instanceof HubError && error.code === "rate_limited") {
      remember(key, error.retryAfterSeconds ?? 0);
    }
    throw error;
  }
}

function remember(key: string, seconds: number): void {
  const [oldest] = refusedUntil.keys();
  refusedUntil.delete(key);
  if (oldest !== undefined && refusedUntil.size >= ADDRESSES) {
    refusedUntil.delete(oldest);
  }
  refusedUntil.set(key, Date.now() + seconds * 1_000);
}
