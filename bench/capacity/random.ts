/** Numbers from 0 to 1 that look random and are the same for the same seed (the algorithm mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A random duration with this mean, as between events that have nothing to do with each other. */
export function exponential(mean: number, random: () => number): number {
  return -mean * Math.log(1 - random());
}
