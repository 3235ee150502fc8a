import { forbiddenMembers, grantsChannel, type Grant } from "../../auth/grant.ts";
import { LISTED_MISTAKES } from "../../hub/errors.ts";
import type { ProblemItem } from "../../wire/problem.ts";
import type { PlacedEvent } from "../request/event-gate.ts";
import { Problem } from "../response/problem.ts";

const DETAIL = "The token does not grant this value.";

/**
 * Refuses a request if its token does not grant every event of it.
 *
 * @throws Problem `forbidden`
 */
export function requireGranted(channel: string, events: readonly PlacedEvent[], grant: Grant): void {
  const isChannelGranted = grantsChannel(grant, channel);
  const errors: ProblemItem[] = [];
  for (const { position, event } of events) {
    const members = [...(isChannelGranted ? [] : ["channel"]), ...forbiddenMembers(event, grant)];
    errors.push(...members.map((field) => ({ ...position, field, detail: DETAIL })));
    if (errors.length >= LISTED_MISTAKES) {
      break;
    }
  }
  if (errors.length > 0) {
    const detail = "Nothing was stored, because the token does not grant all of these events.";
    throw new Problem("forbidden", detail, { errors });
  }
}
