import { WHOLE, type Grant } from "../../auth/grant.ts";

/** The sender of a request, and its rights in a group of routes. */
export interface Principal {
  /** The key for limits that are counted for each principal; null for an anonymous request. */
  readonly subject: string | null;
  readonly grant: Grant;
  /** When the credential expires, in ms since the epoch; null for never. */
  readonly endsAt: number | null;
}

export const ANYBODY: Principal = { subject: null, grant: WHOLE, endsAt: null };
