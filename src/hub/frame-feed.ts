import { encodeEvent } from "../sse/encode.ts";
import type { EventLog, StoredEvent } from "./event-log.ts";
import type { Filter, Filterable } from "./filter.ts";

/** Bytes of one write at most: what waits for a slow client. Holds the largest event several times over. */
export const PAGE_BYTES = 256 * 1024;

/** Events that one page looks at in the log, so that a filter that matches nothing cannot hold the hub. */
const PAGE_SCAN_EVENTS = 2_000;

/** Characters that one page reads from the log, for the same reason. */
const PAGE_SCAN_CHARACTERS = 1024 * 1024;

/** Bytes and count of the newest frames that stay in memory, for all clients together. */
const RECENT_BYTES = 8 * 1024 * 1024;
const RECENT_FRAMES = 16_384;

/** The next piece of the log for a client at a cursor. */
export interface Page {
  /** The frames that the filter lets through; null when it hides all of them. */
  readonly bytes: Uint8Array | null;
  /** The cursor after this page. */
  readonly cursor: number;
  /** The last id in `bytes`. */
  readonly lastId: number;
  readonly events: number;
  /** When the first event of the page was stored; 0 when `bytes` is null. */
  readonly publishedAt: number;
}

interface Frame extends Filterable {
  readonly bytes: Uint8Array;
  readonly publishedAt: number;
}

/**
 * Reads the log as encoded frames. Each event is encoded once, for everybody: the newest frames stay in memory, older
 * ones come from the log through the same read.
 */
export class FrameFeed {
  readonly #log: EventLog;
  readonly #encoder = new TextEncoder();
  /** Where a page from the log is put together. */
  #scratch = new Uint8Array(0);
  /** Frames of consecutive seqs; before `#start` they are given up, and their places are cut off now and then. */
  #recent: (Frame | null)[] = [];
  #start = 0;
  #firstSeq = 1;
  #bytes = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** Whether the page after a cursor needs no read of the log. */
  isRecent(cursor: number): boolean {
    return cursor + 1 >= this.#firstSeq;
  }

  /** Keeps the frame of an event that was just appended. Seqs come without holes. */
  push(event: StoredEvent): void {
    const { seq, type, projectId, agentId, publishedAt } = event;
    const bytes = this.#encoder.encode(encodeEvent(type, seq, event.data));
    if (seq !== this.#firstSeq + this.#recent.length - this.#start) {
      this.forget(seq);
    }
    this.#recent.push({ type, projectId, agentId, publishedAt, bytes });
    this.#bytes += bytes.byteLength;
    while (this.#bytes > RECENT_BYTES || this.#recent.length - this.#start > RECENT_FRAMES) {
      this.#bytes -= this.#recent[this.#start]?.bytes.byteLength ?? 0;
      this.#recent[this.#start] = null;
      this.#start++;
      this.#firstSeq++;
    }
    if (this.#start > RECENT_FRAMES) {
      this.#recent = this.#recent.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Gives up what is in memory: the next frame to come has this seq. */
  forget(nextSeq: number): void {
    this.#recent = [];
    this.#start = 0;
    this.#bytes = 0;
    this.#firstSeq = nextSeq;
  }

  /** The next page after a cursor, up to the durable head. */
  page(cursor: number, head: number, filter: Filter): Page {
    return this.isRecent(cursor)
      ? this.#recentPage(cursor, head, filter)
      : this.#loggedPage(cursor, Math.min(head, this.#firstSeq - 1), filter);
  }

  #recentPage(cursor: number, head: number, filter: Filter): Page {
    const offset = this.#start - this.#firstSeq;
    const frames: Uint8Array[] = [];
    let size = 0;
    let lastId = 0;
    let publishedAt = 0;
    let seq = cursor;
    while (seq < head) {
      const frame = this.#recent[seq + 1 + offset];
      if (!frame) {
        throw new RangeError(`frame ${seq + 1} is not in memory`);
      }
      if (filter.matches(frame)) {
        if (size + frame.bytes.byteLength > PAGE_BYTES) {
          break;
        }
        size += frame.bytes.byteLength;
        publishedAt ||= frame.publishedAt;
        frames.push(frame.bytes);
        lastId = seq + 1;
      }
      seq++;
    }
    return { bytes: concatenate(frames, size), cursor: seq, lastId, events: frames.length, publishedAt };
  }

  #loggedPage(cursor: number, through: number, filter: Filter): Page {
    if (this.#scratch.byteLength === 0) {
      this.#scratch = new Uint8Array(PAGE_BYTES);
    }
    let size = 0;
    let characters = 0;
    let scanned = 0;
    let lastId = 0;
    let events = 0;
    let publishedAt = 0;
    let seq = cursor;
    this.#log.scan(cursor, (event) => {
      if (event.seq > through) {
        return false;
      }
      if (filter.matches(event)) {
        const frame = encodeEvent(event.type, event.seq, event.data);
        const { read, written } = this.#encoder.encodeInto(frame, this.#scratch.subarray(size));
        if (read < frame.length) {
          return false;
        }
        size += written;
        publishedAt ||= event.publishedAt;
        lastId = event.seq;
        events++;
      }
      seq = event.seq;
      scanned++;
      characters += event.data.length;
      return seq < through && scanned < PAGE_SCAN_EVENTS && characters < PAGE_SCAN_CHARACTERS;
    });
    return {
      bytes: size === 0 ? null : this.#scratch.slice(0, size),
      cursor: seq,
      lastId,
      events,
      publishedAt,
    };
  }
}

function concatenate(frames: readonly Uint8Array[], size: number): Uint8Array | null {
  const [first] = frames;
  if (first === undefined || frames.length === 1) {
    return first ?? null;
  }
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const frame of frames) {
    bytes.set(frame, offset);
    offset += frame.byteLength;
  }
  return bytes;
}
