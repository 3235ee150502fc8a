/**
 * The soft limit of descriptors that is asked for where the hard one is higher or none: some programs walk through all
 * of their descriptors, and half a million connections are more than one process can serve.
 */
const HIGHEST_LIMIT = 1_048_576;

/** Tried in turn where the system refuses the hard limit itself, as macOS does if it says "unlimited". */
const LOWER_LIMITS = [262_144, 65_536, 10_240];

/** The runtime opens a second descriptor for every connection, to watch it. */
const PER_CONNECTION = 2;

/** The files of an open channel: its database, the write-ahead log and the index of that. */
const PER_CHANNEL = 3;

/**
 * Beyond the streams: connections that have not sent a request yet, which the runtime ends after 15 s, requests that
 * are being answered, and three files for each channel in use.
 */
const RESERVE = 1024;

/** What the process may open at a time: connections, files, pipes. */
export interface DescriptorLimits {
  readonly soft: DescriptorLimit;
  /** What the soft one could be raised to without more rights. */
  readonly hard: DescriptorLimit;
}

export type DescriptorLimit = number | "unlimited";

/**
 * Lines of a shell that raise the soft limit to the hard one and tell both on descriptor 3, in the way of the
 * runtime's own messages there. Node cannot set limits, and a shell often starts with 1,024.
 */
export const RAISE_DESCRIPTORS = `
hard=$(ulimit -H -n)
case $hard in *[!0-9]*|??????????*) wanted=${HIGHEST_LIMIT};; *) wanted=$hard;; esac
[ "$wanted" -le ${HIGHEST_LIMIT} ] || wanted=${HIGHEST_LIMIT}
for limit in "$wanted" ${LOWER_LIMITS.join(" ")}; do
  [ "$limit" -gt "$wanted" ] || ! ulimit -S -n "$limit" 2>/dev/null || break
done
printf '{"event":"descriptors","soft":"%s","hard":"%s"}\\n' "$(ulimit -S -n)" "$hard" >&3
`;

/** What has to fit into the limit. */
export interface Demand {
  /** Clients of a full channel. */
  readonly maxConnections: number;
  /** Channels that subscribers may bring into being. */
  readonly newChannels: number;
}

/** How many descriptors a service needs whose busiest channel is full, and whose new channels are as many as allowed. */
export function descriptorsFor({ maxConnections, newChannels }: Demand): number {
  return maxConnections * PER_CONNECTION + newChannels * PER_CHANNEL + RESERVE;
}

/** A limit as the shell says it. */
export function readLimit(text: string): DescriptorLimit {
  return text === "unlimited" ? text : Number(text);
}

/** Whether a demand fits into a limit. */
export function areEnough({ soft }: DescriptorLimits, demand: Demand): boolean {
  return soft === "unlimited" || soft >= descriptorsFor(demand);
}
