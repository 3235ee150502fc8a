const PARAMETERS =
  "types channel last_event_id lastEventId since log envelope on_busy ticket after limit bare caught_up conflate";
const MEMBERS = "type data text key state id published_at";
const LISTS = "channels fields";

/**
 * Names that no field may have: the parameters of the routes that filter, the members of an event and of its envelope, and
 * the lists of a grant. A field stands beside all of them, and `fields` is the name under which clients give all of them.
 */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(
  [PARAMETERS, MEMBERS, LISTS].flatMap((names) => names.split(" ")),
);
