/**
 * The bounds of one write, in bytes. The runtime accepts several writes for a client that does not read before one of
 * them stays pending, and it copies each, so the memory of a stalled client grows with the size of a write.
 */
const PAGE_BYTES = { most: 128 * 1024, least: 16 * 1024 } as const;

/**
 * The bytes of one write to each client of a process, added up: the more clients there are, the smaller each write.
 * Otherwise a crowd that connects and never reads costs more than 1 MB of memory per client.
 */
const PAGES_BYTES = 8 * 1024 * 1024;

/** The most bytes of one write in a process with this many clients. A larger event gets a write of its own. */
export function pageBytes(clients: number): number {
  return Math.max(PAGE_BYTES.least, Math.min(PAGE_BYTES.most, Math.floor(PAGES_BYTES / clients)));
}
