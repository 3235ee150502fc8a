import { RELAYS_PER_OBJECT } from "../hub/audience/attached-relays.ts";
import { parseRelay } from "./relay-port.ts";

/**
 * Which relay gets its events from which. The first relays are fed by the hub. Beyond them, relays are fed by relays
 * that the hub feeds, so the tree has two levels and no cycle, and room for 2,550 relays.
 */
export class Tree {
  /** The parent of each relay; null for the hub. */
  readonly #parents = new Map<string, string | null>();
  readonly #branches: number;

  constructor(branches = RELAYS_PER_OBJECT) {
    this.#branches = branches;
  }

  /**
   * The parent of a relay: null for the hub. A relay keeps its parent for as long as the hub feeds the parent. If
   * nobody has room, it is told to try the hub, and gets another answer at its next lease.
   *
   * @param present the parent that the relay has now
   * @param isFed whether the hub has a stream to a relay
   */
  parentOf(relay: string, present: string | null, isFed: (relay: string) => boolean): string | null {
    const known = this.#parents.get(relay);
    if (known === null) {
      return null;
    }
    const kept = known ?? present;
    if (kept !== null && this.#isBranch(kept, relay) && isFed(kept)) {
      this.#parents.set(relay, kept);
      return kept;
    }
    this.#parents.delete(relay);
    const children = this.#countChildren();
    const chosen = this.#choose(relay, children, isFed);
    if (chosen !== null || this.#hasRoom(null, children)) {
      this.#parents.set(relay, chosen);
    }
    return chosen;
  }

  /** Notes that the hub feeds a relay. */
  fed(relay: string): void {
    if (!this.#parents.has(relay)) {
      this.#parents.set(relay, null);
    }
  }

  /** Forgets a relay that needs no events. */
  forget(relay: string): void {
    this.#parents.delete(relay);
  }

  #choose(relay: string, children: Children, isFed: (relay: string) => boolean): string | null {
    if (this.#hasRoom(null, children)) {
      return null;
    }
    const { region } = parseRelay(relay);
    const parents = [...this.#parents.keys()].filter(
      (other) => this.#isBranch(other, relay) && isFed(other) && this.#hasRoom(other, children),
    );
    const near = parents.filter((other) => parseRelay(other).region === region);
    return leastLoaded(near.length > 0 ? near : parents, children);
  }

  #isBranch(parent: string, relay: string): boolean {
    return parent !== relay && this.#parents.get(parent) === null;
  }

  #hasRoom(parent: string | null, children: Children): boolean {
    return (children.get(parent) ?? 0) < this.#branches;
  }

  #countChildren(): Children {
    const children = new Map<string | null, number>();
    for (const parent of this.#parents.values()) {
      children.set(parent, (children.get(parent) ?? 0) + 1);
    }
    return children;
  }
}

/** How many relays have each parent. */
type Children = ReadonlyMap<string | null, number>;

function leastLoaded(relays: readonly string[], children: Children): string | null {
  let least: string | null = null;
  let fewest = Number.POSITIVE_INFINITY;
  for (const relay of relays) {
    const count = children.get(relay) ?? 0;
    if (count < fewest) {
      [least, fewest] = [relay, count];
    }
  }
  return least;
}
