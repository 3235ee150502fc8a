import type { Registry } from "./registry.ts";

/** How old a count may be. To count visits every hub that has had a client. */
const COUNT_MS = 1_000;

/**
 * Counts the streams of all hubs in one process, which share its memory for writes. It holds the registries weakly,
 * because nothing tells it when the platform evicts a hub.
 */
export class OpenStreams {
  #registries: WeakRef<Registry>[] = [];
  #count = 0;
  #countedAt = Number.NEGATIVE_INFINITY;

  /** Counts the clients of a registry from now on. */
  add(registry: Registry): void {
    this.#registries.push(new WeakRef(registry));
  }

  /** How many streams are open, or were within the last second. */
  count(now: number): number {
    if (Math.abs(now - this.#countedAt) >= COUNT_MS) {
      this.#registries = this.#registries.filter((registry) => registry.deref() !== undefined);
      this.#count = this.#registries.reduce((sum, registry) => sum + (registry.deref()?.size ?? 0), 0);
      this.#countedAt = now;
    }
    return this.#count;
  }
}
