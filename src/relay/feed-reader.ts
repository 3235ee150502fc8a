import { seqOf } from "../hub/log/event-id.ts";
import { createDecoder, type Frame } from "../sse/decode.ts";
import { isReservedType } from "../sse/event-type.ts";
import { BrokenUpstreamError } from "./broken-upstream.ts";
import { readEnvelope, withSize } from "./envelope.ts";
import { FeedEnd, goodbyeOf } from "./feed-end.ts";
import type { Tail } from "./tail.ts";

/** The longest plausible heartbeat interval. */
const LONGEST_HEARTBEAT_SECONDS = 3_600;

type Members = Readonly<Record<string, unknown>>;

/** Reads one stream of the hub into the tail: every event once and in order, and nothing that a hub does not send. */
export class FeedReader {
  readonly #tail: Tail;
  readonly #resumes: boolean;
  readonly #decode: (chunk: Uint8Array) => boolean;
  #heartbeatMs: number;
  #isOpen = false;
  /** This stream has started a log that the tail did not know, and has sent no event of it yet. */
  #isNewLog = false;

  /**
   * @param resumes whether the stream goes on after the head of the tail. Otherwise the tail starts anew.
   * @param heartbeatMs how often the hub sends a heartbeat, unless the stream says otherwise
   */
  constructor(tail: Tail, resumes: boolean, heartbeatMs: number) {
    this.#tail = tail;
    this.#resumes = resumes;
    this.#heartbeatMs = heartbeatMs;
    this.#decode = createDecoder(
      (frame) => this.#take(frame),
      () => new BrokenUpstreamError("a frame of the upstream has more than 1 MiB"),
    );
  }

  /** Whether the hub has begun the stream. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get heartbeatMs(): number {
    return this.#heartbeatMs;
  }

  /**
   * Takes the next bytes. Returns whether a frame ended in them.
   *
   * @throws FeedEnd `closed` if the hub closes the stream, BrokenUpstreamError for anything that no hub sends
   */
  read(chunk: Uint8Array): boolean {
    const { generation } = this.#tail;
    const head = this.#tail.head();
    try {
      return this.#decode(chunk);
    } finally {
      // One sweep for all events of the chunk. Those before a broken frame are good.
      if (this.#tail.head() !== head || this.#tail.generation !== generation) {
        this.#tail.advance();
      }
    }
  }

  #take({ id, event }: Frame): void {
    // A heartbeat. The filter of the feed is open, so the id brings no news.
    if (event === undefined) {
      return;
    }
    switch (event.type) {
      case "connected":
        this.#begin(id, membersOf(event.text));
        break;
      case "gap":
        this.#takeGap(membersOf(event.text));
        break;
      case "close":
        throw closed(membersOf(event.text));
      default:
        // Reserved types are those of the service. A relay that is older than its hub does not know all of them.
        if (id !== undefined && !isReservedType(event.type)) {
          this.#takeEvent(id, event.type, event.text);
        }
    }
  }

  /** A relay that follows another relay can be told of a new log in the middle of its stream. */
  #begin(id: string | undefined, { log, last_event_id, heartbeat_interval_seconds: seconds }: Members): void {
    const cursor = typeof last_event_id === "string" ? seqOf(last_event_id) : null;
    if (typeof log !== "string" || log === "" || cursor === null) {
      throw new BrokenUpstreamError("the stream of the upstream names no log or no id");
    }
    if (typeof seconds === "number" && seconds > 0 && seconds <= LONGEST_HEARTBEAT_SECONDS) {
      this.#heartbeatMs = seconds * 1_000;
    }
    const goesOn = this.#isOpen || this.#resumes;
    this.#isOpen = true;
    if (goesOn && log === this.#tail.name) {
      // If the stream begins later than was asked for, the events before it are read from the history.
      this.#tail.skipTo(cursor);
      return;
    }
    // Without an id, a gap follows: nothing before the cursor is kept.
    this.#tail.begin(log, cursor, id === undefined ? cursor + 1 : 1);
    this.#isNewLog = true;
  }

  #takeGap({ reason, oldest_id, latest_id }: Members): void {
    const latest = typeof latest_id === "string" ? seqOf(latest_id) : null;
    const oldest = typeof oldest_id === "string" ? seqOf(oldest_id) : null;
    const isOldestValid = oldest === null ? oldest_id === null : oldest > 0 && oldest <= (latest ?? 0);
    if (!this.#isOpen || latest === null || !isOldestValid) {
      throw new BrokenUpstreamError("a gap of the upstream has no valid ids");
    }
    const from = oldest ?? latest + 1;
    if (reason === "unknown" && !this.#isNewLog) {
      // The log has the same name and lacks the last events, because it was restored from a backup.
      this.#tail.begin(this.#tail.name, from - 1, from);
    } else {
      this.#tail.skipTo(from - 1);
    }
    this.#tail.raiseOldest(from);
  }

  #takeEvent(id: string, type: string, text: string): void {
    const event = readEnvelope(parse(text));
    if (!this.#isOpen || String(event.seq) !== id || event.type !== type) {
      throw new BrokenUpstreamError(
        `the frame of event ${event.seq} has another id or type, or comes too early`,
      );
    }
    this.#isNewLog = false;
    const next = this.#tail.head() + 1;
    if (event.seq > next) {
      throw new BrokenUpstreamError(`event ${event.seq} came after ${next - 1}: events are missing`);
    }
    if (event.seq === next) {
      this.#tail.push(withSize(event));
    }
  }
}

function closed({ reason, retry_after_ms: retryAfterMs }: Members): FeedEnd {
  return new FeedEnd("closed", `the hub has closed the stream: ${String(reason).slice(0, 64)}`, {
    goodbye: goodbyeOf(reason),
    ...(typeof retryAfterMs === "number" && { retryAfterMs }),
  });
}

function membersOf(text: string): Members {
  const value = parse(text);
  if (typeof value !== "object" || value === null) {
    throw new BrokenUpstreamError("a frame of the upstream has no object as its data");
  }
  return value as Members;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new BrokenUpstreamError("a frame of the upstream has data that is not JSON");
  }
}
