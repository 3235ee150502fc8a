const numbers = new Intl.NumberFormat("en");

const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

const moment = new Intl.DateTimeFormat("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });

/** A time in the near future or past: `Fri 14:05`. */
export function formatMoment(date: Date): string {
  return moment.format(date);
}

/** `12345` as `12,345`. */
export function formatCount(count: number): string {
  return numbers.format(count);
}

/** The local time of day, with milliseconds. */
export function formatClock(time: number | string): string {
  return clock.format(new Date(time));
}

/** A duration: `0.8 ms`, `12 ms`, `3.4 s`. */
export function formatMs(ms: number): string {
  if (ms >= 1_000) {
    return `${(ms / 1_000).toFixed(1)} s`;
  }
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

/** An age: `12 s`, `5 min`, `2 h 10 min`. */
export function formatAge(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 60) {
    return `${seconds} s`;
  }
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
