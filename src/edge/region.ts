/** A part of the world whose clients share relays, and where its relays live. */
interface Region {
  readonly name: string;
  readonly locationHint?: DurableObjectLocationHint;
}

/** The region of each continent, as `request.cf.continent` names it. */
const REGIONS: Readonly<Record<string, Region>> = {
  AF: { name: "africa", locationHint: "afr" },
  AS: { name: "asia", locationHint: "apac" },
  EU: { name: "europe", locationHint: "weur" },
  NA: { name: "north-america", locationHint: "enam" },
  OC: { name: "oceania", locationHint: "oc" },
  SA: { name: "south-america", locationHint: "sam" },
};

/** Requests from a continent without a data centre, or from nowhere that is known. */
const ANYWHERE = "anywhere";

/** On this machine there is one place. A test names the continent itself. */
const CONTINENT_HEADER = "Edge-Sse-Continent";

/** The region of a request. @param isLocal whether a header may name the continent: a client must not choose it on the edge */
export function regionOf(request: Request, isLocal: boolean): string {
  const { continent } = (request.cf ?? {}) as { continent?: unknown };
  const named = isLocal ? request.headers.get(CONTINENT_HEADER) : continent;
  return typeof named === "string" && Object.hasOwn(REGIONS, named)
    ? (REGIONS[named]?.name ?? ANYWHERE)
    : ANYWHERE;
}

/** Where the relays of a region live. A location counts only when an object is reached for the first time. */
export function placeOf(region: string): { locationHint?: DurableObjectLocationHint } {
  const found = Object.values(REGIONS).find(({ name }) => name === region);
  return found?.locationHint === undefined ? {} : { locationHint: found.locationHint };
}
