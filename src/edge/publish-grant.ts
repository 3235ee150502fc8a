import { forbiddenMembers, grantsChannel, type Grant } from "../auth/grant.ts";
import { HubError, type ProblemItem } from "../hub/errors.ts";
import type { NewEvent } from "../hub/log/event-log.ts";
import type { Item } from "./publish-body.ts";

/** Mistakes that one answer lists. */
const LISTED_ERRORS = 100;

const DETAIL = "Beyond what this token grants.";

/**
 * Lets only events through that a token may publish; one that it may not refuses the whole request.
 *
 * @param items where the events stood in the request
 * @throws HubError `forbidden`
 */
export function requireGranted(
  channel: string,
  events: readonly NewEvent[],
  items: readonly Item[],
  grant: Grant,
): void {
  const isChannelGranted = grantsChannel(grant, channel);
  const errors: ProblemItem[] = [];
  for (const [index, event] of events.entries()) {
    const members = [...(isChannelGranted ? [] : ["channel"]), ...forbiddenMembers(event, grant)];
    errors.push(...members.map((field) => ({ ...items[index]?.position, field, detail: DETAIL })));
    if (errors.length >= LISTED_ERRORS) {
      break;
    }
  }
  if (errors.length > 0) {
    const detail = "Nothing was stored: this token does not grant what the request publishes.";
    throw new HubError("forbidden", detail, { errors: errors.slice(0, LISTED_ERRORS) });
  }
}
