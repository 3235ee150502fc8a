import { WHOLE, type Grant } from "../../auth/grant.ts";

/** Who makes a request, as far as its group of routes is concerned. */
export interface Principal {
  /** Tells principals apart, where something is counted for each; null: anybody. */
  readonly subject: string | null;
  readonly grant: Grant;
  /** When what let it in ends, in ms since the epoch; null: never. */
  readonly endsAt: number | null;
}

export const ANYBODY: Principal = { subject: null, grant: WHOLE, endsAt: null };
