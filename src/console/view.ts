/** The start of a view: the last 100 events, new events only, a time back, or the oldest stored event. */
export type Start = "recent" | "live" | "10m" | "1h" | "earliest";

const STARTS: readonly string[] = ["recent", "live", "10m", "1h", "earliest"] satisfies Start[];

/** The channel, filter and start that this page shows. The address of the page has them too, so it can be shared. */
export interface View {
  readonly channel: string;
  readonly types: readonly string[];
  /** The values of each field of the service; an empty list selects all. */
  readonly fields: Readonly<Record<string, readonly string[]>>;
  readonly start: Start;
}

const CHANNEL_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

export function isChannelName(text: string): boolean {
  return CHANNEL_NAME.test(text);
}

/** Splits a comma list, and drops blanks and empty entries. */
export function toList(text: string): string[] {
  return text
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
}

/**
 * Reads the view from the query of the address.
 *
 * @param fields the names of the fields of the service
 */
export function readView(search: string, fields: readonly string[]): View {
  const query = new URLSearchParams(search);
  const start = query.get("since") ?? "";
  return {
    channel: query.get("channel") ?? "default",
    types: toList(query.get("types") ?? ""),
    fields: Object.fromEntries(fields.map((name) => [name, toList(query.get(name) ?? "")])),
    start: isStart(start) ? start : "recent",
  };
}

/** The query of the address that shows this view. */
export function pageQuery(view: View): string {
  const query = filterQuery(view);
  if (view.start !== "recent") {
    query.set("since", view.start);
  }
  return query.size === 0 ? "" : `?${readable(query)}`;
}

/** The channel and the filter as parameters of the service. */
export function filterQuery({ channel, types, fields }: View): URLSearchParams {
  const query = channelQuery(channel);
  for (const [name, entries] of Object.entries({ types, ...fields })) {
    if (entries.length > 0) {
      query.set(name, entries.join(","));
    }
  }
  return query;
}

export function channelQuery(channel: string): URLSearchParams {
  return new URLSearchParams(channel === "default" ? {} : { channel });
}

/** Writes commas without escapes, as a person would. */
export function readable(query: URLSearchParams): string {
  return query.toString().replaceAll("%2C", ",");
}

export function isStart(text: string): text is Start {
  return STARTS.includes(text);
}
