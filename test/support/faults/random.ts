import { createHash } from "node:crypto";

/** Random choices that can be made again: the same seed gives every actor the same ones. */
export interface Random {
  /** From 0 up to, but not including, 1. */
  next(): number;
  /** A whole number between two bounds, both included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly [T, ...T[]]): T;
  /** Some of a list, in its order; may be none or all. */
  some<T>(list: readonly T[], probability?: number): T[];
  /** The choices of one actor, whatever the others have drawn before. */
  of(actor: string): Random;
}

/** The seed of this run: what `SEED` says, else a new one. */
export function seedOfRun(): number {
  const { SEED } = process.env;
  return SEED === undefined || SEED === "" ? Math.floor(Math.random() * 2 ** 31) : Number(SEED);
}

export function createRandom(seed: number | string): Random {
  let state = createHash("sha256").update(String(seed)).digest().readUInt32LE();
  // mulberry32
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (least: number, most: number): number => least + Math.floor(next() * (most - least + 1));
  return {
    next,
    between,
    chance: (probability) => next() < probability,
    pick: (list) => list[between(0, list.length - 1)] ?? list[0],
    some: (list, probability = 0.5) => list.filter(() => next() < probability),
    of: (actor) => createRandom(`${seed} ${actor}`),
  };
}
