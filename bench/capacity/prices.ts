/** The price of a resource: dollars for each unit beyond what the plan includes in a month. */
export interface Price {
  readonly resource: string;
  readonly unit: string;
  readonly included: number;
  readonly perUnit: number;
  readonly dollars: number;
}

/** The Workers Paid plan, per month. */
export const PLAN_DOLLARS = 5;

/** The memory that an object is billed for, whatever it uses. */
export const BILLED_GB = 0.128;

const MILLION = 1_000_000;

export const PRICES = {
  workerRequests: price("Worker requests", "requests", 10 * MILLION, 0.3),
  workerCpuMs: price("Worker CPU", "ms", 30 * MILLION, 0.02),
  objectRequests: price("object requests", "requests", MILLION, 0.15),
  gigabyteSeconds: price("object duration", "GB-s", 400_000, 12.5),
  rowsRead: price("rows read", "rows", 25_000 * MILLION, 0.001),
  rowsWritten: price("rows written", "rows", 50 * MILLION, 1),
  storedGigabytes: { resource: "storage", unit: "GB", included: 5, perUnit: 1, dollars: 0.2 },
} as const satisfies Readonly<Record<string, Price>>;

/** What a month uses of each resource. */
export type Usage = Readonly<Record<keyof typeof PRICES, number>>;

export interface Charge {
  readonly price: Price;
  readonly used: number;
  readonly dollars: number;
}

/** What each resource costs in a month, without the plan. */
export function chargesFor(usage: Usage): Charge[] {
  return (Object.keys(PRICES) as (keyof typeof PRICES)[]).map((resource) => {
    const { [resource]: found } = PRICES;
    const used = usage[resource];
    const dollars = (Math.max(0, used - found.included) / found.perUnit) * found.dollars;
    return { price: found, used, dollars };
  });
}

/** The whole bill of an account that runs nothing else. */
export function billOf(usage: Usage): number {
  return chargesFor(usage).reduce((sum, { dollars }) => sum + dollars, PLAN_DOLLARS);
}

function price(resource: string, unit: string, included: number, dollars: number): Price {
  return { resource, unit, included, perUnit: MILLION, dollars };
}
