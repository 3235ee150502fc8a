/** How finely delays are told apart. */
const BUCKET_MS = 0.1;

/** Delays, each with a weight. */
export class Histogram {
  readonly #weights: number[] = [];
  #total = 0;

  add(ms: number, weight: number): void {
    if (!(ms >= 0)) {
      throw new RangeError(`${ms} ms is no delay`);
    }
    const bucket = Math.floor(ms / BUCKET_MS);
    this.#weights[bucket] = (this.#weights[bucket] ?? 0) + weight;
    this.#total += weight;
  }

  /** The delay that this part of the weight does not exceed, in per cent. NaN for an empty histogram. */
  percentile(percent: number): number {
    const wanted = (this.#total * percent) / 100;
    let sum = 0;
    for (let bucket = 0; bucket < this.#weights.length; bucket++) {
      sum += this.#weights[bucket] ?? 0;
      if (sum > 0 && sum >= wanted - 1e-6) {
        return (bucket + 0.5) * BUCKET_MS;
      }
    }
    return Number.NaN;
  }
}
