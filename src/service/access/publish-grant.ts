import { forbiddenMembers, grantsChannel, type Grant } from "../../auth/grant.ts";
import { LISTED_MISTAKES } from "../../hub/errors.ts";
import type { ProblemItem } from "../../wire/problem.ts";
import type { PlacedEvent } from "../request/event-gate.ts";
import { Problem } from "../response/problem.ts";

const DETAIL = "Beyond what this token grants.";

/**
 * Lets only events through that a token may publish; one that it may not refuses the whole request.
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
    const detail = "Nothing was stored: this token does not grant what the request publishes.";
    throw new Problem("forbidden", detail, { errors });
  }
}
