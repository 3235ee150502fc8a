/**
 * The highest soft limit of file descriptors to ask for. Some programs walk through all possible descriptors, and one
 * process cannot serve half a million connections anyway.
 */
const HIGHEST_LIMIT = 1_048_576;

/** Limits to try in turn if the system refuses the hard limit, as macOS does when it reports "unlimited". */
const LOWER_LIMITS = [262_144, 65_536, 10_240];

/** Descriptors for each connection: the runtime opens a second one to watch it. */
const PER_CONNECTION = 2;

/** Files of an open channel: its database, the write-ahead log, and the index of that log. */
const PER_CHANNEL = 3;

/**
 * Descriptors for everything besides streams: connections without a request, which the runtime closes after 15 s,
 * requests that are being answered, and the files of the channels in use.
 */
const RESERVE = 1024;

/** How many connections, files and pipes a process may have open. */
export interface DescriptorLimits {
  readonly soft: DescriptorLimit;
  /** The highest value to which the soft limit can be raised without more rights. */
  readonly hard: DescriptorLimit;
}

export type DescriptorLimit = number | "unlimited";

/**
 * Shell commands that raise the soft limit to the hard one, and report both on descriptor 3 in the format of the
 * runtime's own messages there. Node cannot set limits, and a shell often starts with a limit of 1,024.
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

/** The load that the descriptors have to suffice for. */
export interface Demand {
  /** Clients of a full channel. */
  readonly maxConnections: number;
  /** Channels that subscribers may create. */
  readonly newChannels: number;
}

/** How many descriptors the service needs if a channel is full and as many new channels exist as allowed. */
export function descriptorsFor({ maxConnections, newChannels }: Demand): number {
  return maxConnections * PER_CONNECTION + newChannels * PER_CHANNEL + RESERVE;
}

/** Reads a limit as the shell prints it. */
export function readLimit(text: string): DescriptorLimit {
  return text === "unlimited" ? text : Number(text);
}

/** Whether the limits suffice for a demand. */
export function areEnough({ soft }: DescriptorLimits, demand: Demand): boolean {
  return soft === "unlimited" || soft >= descriptorsFor(demand);
}
