/**
 * Bytes of one write, at most and at least. The runtime takes several writes from the hub before a client that does not
 * read makes one wait, and copies each for its client, so the memory of a stalled client grows with the size of a write.
 */
const PAGE_BYTES = { most: 128 * 1024, least: 16 * 1024 } as const;

/**
 * Bytes of one write to every client of a hub together: the more clients there are, the smaller each write. Otherwise a
 * crowd that connects and never reads takes more than 1 MB of memory for each of its clients.
 */
const PAGES_BYTES = 8 * 1024 * 1024;

/** Bytes of one write to a client of a hub with this many clients. A larger event goes alone, in a write of its own. */
export function pageBytes(clients: number): number {
  return Math.max(PAGE_BYTES.least, Math.min(PAGE_BYTES.most, Math.floor(PAGES_BYTES / clients)));
}
