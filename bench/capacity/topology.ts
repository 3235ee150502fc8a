import { RELAYS_PER_OBJECT } from "../../src/hub/audience/attached-relays.ts";
import { REGIONS, type Load, type Region } from "./assumptions.ts";
import { RELAYS_MAX } from "./costs.ts";

/** The relays of one region. */
export interface RegionRelays {
  readonly region: Region;
  readonly clients: number;
  readonly relays: number;
  /** How many of them the hub feeds. The others are fed by these. */
  readonly branches: number;
}

/** The objects of a channel. */
export interface Topology {
  /** Empty if the hub serves its clients itself. */
  readonly regions: readonly RegionRelays[];
  readonly relays: number;
  /** Whether the configuration allows this many relays. */
  readonly isAllowed: boolean;
}

/** Which objects a channel needs. The relays of a region fill one after another, so at most one of them is not full. */
export function topologyOf({ clients, clientsPerObject }: Load): Topology {
  if (clients <= clientsPerObject) {
    return { regions: [], relays: 0, isAllowed: true };
  }
  const wanted = REGIONS.map((region) => {
    const its = Math.round(clients * region.share);
    return { region, clients: its, relays: Math.ceil(its / clientsPerObject) };
  });
  const relays = wanted.reduce((sum, region) => sum + region.relays, 0);
  // Regions get the places at the hub as they come, so by their number of relays, and none gets nothing.
  const part = Math.min(1, RELAYS_PER_OBJECT / relays);
  const regions = wanted.map((region) => ({
    ...region,
    branches: Math.max(1, Math.floor(region.relays * part)),
  }));
  return { regions, relays, isAllowed: relays <= RELAYS_MAX };
}

/** How many relays the hub feeds. */
export function branchesOf({ regions }: Topology): number {
  return regions.reduce((sum, { branches }) => sum + branches, 0);
}
