const UNIT_MS = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const LONGEST_MS = 365 * UNIT_MS.d;

const DURATION = /^([0-9]{1,8})([smhd])$/;

/** The offset may start with a space: a `+` that is not percent-encoded arrives as one, and people type it like that. */
const INSTANT =
  /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(?:Z|([ +-])([0-9]{2}):?([0-9]{2}))$/;

/**
 * Reads a point in time: a duration back from now (`90s`, `10m`, `2h`, `1d`; 1 s to 365 d), or an ISO 8601 time with
 * `Z` or an offset.
 *
 * @returns ms since the epoch; null for anything else
 */
export function parseInstant(text: string, now: number): number | null {
  return parseDuration(text, now) ?? parseTime(text);
}

function parseDuration(text: string, now: number): number | null {
  const [, amount, unit] = DURATION.exec(text) ?? [];
  if (amount === undefined || unit === undefined) {
    return null;
  }
  const ms = Number(amount) * UNIT_MS[unit as keyof typeof UNIT_MS];
  return ms >= UNIT_MS.s && ms <= LONGEST_MS ? now - ms : null;
}

function parseTime(text: string): number | null {
  const match = INSTANT.exec(text);
  if (match === null) {
    return null;
  }
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((digits) => Number(digits ?? 0));
  const ms = Math.floor(Number(`0.${match[7] ?? 0}`) * 1_000);
  const time = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second, ms);
  // Date.UTC turns 31 February into 3 March and 25:00 into the next day. Such a time differs from the one that was asked for.
  const parts = new Date(time).toISOString().slice(0, 19);
  const asked = `${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6] ?? "00"}`;
  const [offsetHours, offsetMinutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  if (parts !== asked || offsetHours > 23 || offsetMinutes > 59) {
    return null;
  }
  const offset = offsetHours * UNIT_MS.h + offsetMinutes * UNIT_MS.m;
  return match[8] === "-" ? time + offset : time - offset;
}
