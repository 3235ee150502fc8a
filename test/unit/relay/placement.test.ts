import { describe, expect, it } from "vitest";

import { Placement } from "../../../src/relay/placement.ts";

const NOW = 1_000_000;

/** Two relays of ten, both full, and no more are allowed. */
function fullPlacement(): Placement {
  const placement = new Placement({ maxRelays: 2, clientsPerObject: 10 });
  placement.note("europe/1", 10, 10);
  placement.note("asia/1", 10, 10);
  return placement;
}

describe("the placement of clients", () => {
  it("sends a client to a relay that was full and has one place, if there is no other place", () => {
    const placement = fullPlacement();
    expect(placement.next("asia/1", 1, NOW)).toEqual([]);
    placement.note("europe/1", 9, null);
    expect(placement.next("asia/1", 2, NOW)).toEqual([{ relay: "europe/1", clients: 1 }]);
    // That place is taken by the client that is on its way.
    expect(placement.next("asia/1", 1, NOW)).toEqual([]);
  });

  it("prefers a new relay to one that was full", () => {
    const placement = new Placement({ maxRelays: 2, clientsPerObject: 10 });
    placement.note("europe/1", 10, 10);
    placement.note("europe/1", 9, null);
    expect(placement.next("europe/3", 1, NOW)).toEqual([{ relay: "europe/2", clients: 1 }]);
  });

  it("sends clients again to a relay that was full when a tenth of it has left", () => {
    const placement = fullPlacement();
    placement.note("europe/1", 8, null);
    expect(placement.next("europe/2", 3, NOW)).toEqual([{ relay: "europe/1", clients: 2 }]);
  });
});
