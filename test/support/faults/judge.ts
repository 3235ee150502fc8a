import { fingerprintOf, isWanted, type Ledger, type Wanted } from "./ledger.ts";

/** The events and gaps that a client received, in order. */
export type Seen =
  /** It asked for a stream: after this id, or from the oldest event, or for what comes. */
  | { readonly what: "asked"; readonly after: string | null; readonly since: "earliest" | null }
  /** A frame of the service. */
  | {
      readonly what: "frame";
      readonly type: string;
      readonly id: string | undefined;
      readonly data: string;
      /** ms since the epoch. */
      readonly at: number;
    }
  /** An event of a publisher. */
  | {
      readonly what: "event";
      readonly type: string;
      readonly id: string | undefined;
      readonly fingerprint: string;
    }
  /** Its connection is over; a browser would come back with this id. */
  | { readonly what: "left"; readonly lastEventId: string };

const SERVICE_FRAMES: ReadonlySet<string> = new Set(["connected", "gap", "error", "close"]);

/** Storms bring gigabytes: of the data of events no more than a fingerprint is kept. */
export function toSeen(type: string, id: string | undefined, data: string, at: number): Seen {
  return SERVICE_FRAMES.has(type)
    ? { what: "frame", type, id, data, at }
    : { what: "event", type, id, fingerprint: fingerprintOf(data) };
}

export interface Testimony {
  readonly name: string;
  readonly wanted: Wanted;
  readonly seen: readonly Seen[];
}

/** Whether an event may have left the history, as seen by one who was told that `latest` was the last. */
export type MayBeGone = (id: number, latest: number, at: number) => boolean;

interface ConnectedData {
  readonly last_event_id: string;
}

interface GapData {
  readonly requested_id: string;
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly reason: string;
}

/**
 * Compares the events that a client received with the acknowledged ones. Each matching event arrived once, in order and
 * unchanged, or a gap covers it. No gap covers an event that was still kept.
 */
export function judge({ name, wanted, seen }: Testimony, ledger: Ledger, mayBeGone: MayBeGone): void {
  /** Everything up to here it has seen, or was told of. Null: it has not been connected yet. */
  let position: number | null = null;
  let asked: Extract<Seen, { what: "asked" }> | null = null;
  /** `connected` without an id: a gap has to follow. */
  let owesGap = false;
  const accuse = (violation: string): void => ledger.accuse(`${name}, at ${position}: ${violation}`);

  for (const entry of seen) {
    if (entry.what === "asked") {
      asked = entry;
      position ??= entry.after === null ? null : Number(entry.after);
    } else if (entry.what === "left") {
      if (entry.lastEventId !== "") {
        advance(Number(entry.lastEventId), "left with");
      }
      owesGap = false;
    } else if (entry.what === "event") {
      judgeEvent(entry.type, Number(entry.id), entry.fingerprint);
    } else if (entry.type === "connected") {
      judgeConnected(entry.id, (JSON.parse(entry.data) as ConnectedData).last_event_id, entry.at);
    } else if (entry.type === "gap") {
      judgeGap(entry.id, JSON.parse(entry.data) as GapData, entry.at);
    } else {
      judgeEnd(entry.type, entry.data);
    }
  }
  if (ledger.lastWanted(wanted) > (position ?? 0)) {
    accuse(`never got event ${ledger.lastWanted(wanted)}, the last one that it wants`);
  }

  /** Moves on to an id; nothing that it wants may be in between. */
  function advance(to: number, how: string): void {
    const from = position ?? to;
    for (let id = from + 1; id <= to; id++) {
      const event = ledger.at(id);
      if (event !== undefined && isWanted(event, wanted)) {
        accuse(`${how} ${to}, without event ${id} (${event.type})`);
        break;
      }
    }
    if (to < from) {
      accuse(`${how} ${to}, which is behind`);
    }
    position = Math.max(from, to);
  }

  function judgeConnected(id: string | undefined, cursor: string, at: number): void {
    // A native client shows the id that it has, not that of the frame.
    owesGap = asked !== null && id === undefined;
    if (owesGap) {
      return;
    }
    if (asked !== null && id !== cursor) {
      accuse(`connected has the id ${id} and the cursor ${cursor}`);
    }
    if (asked?.after && asked.after !== cursor) {
      accuse(`asked for ${asked.after} and was connected at ${cursor}`);
    }
    if (asked?.since === "earliest" && position === null && cursor !== "0") {
      const oldest = Number(cursor);
      if (!mayBeGone(oldest, ledger.head, at)) {
        accuse(`asked for the earliest, and was connected at ${cursor}`);
      }
    }
    // Without a gap. A native client that is told of one is told next.
    if (asked !== null || position === null) {
      advance(Number(cursor), "was connected at");
    }
  }

  function judgeGap(id: string | undefined, gap: GapData, at: number): void {
    owesGap = false;
    const requested = Number(gap.requested_id);
    const through = gap.oldest_id === null ? Number(gap.latest_id) : Number(gap.oldest_id) - 1;
    if (gap.reason !== "expired") {
      accuse(`was told of a gap that is ${gap.reason}: ${JSON.stringify(gap)}`);
    }
    if (Number(id) !== through) {
      accuse(`a gap with the id ${id}: ${JSON.stringify(gap)}`);
    }
    if (requested >= through || !mayBeGone(through, Number(gap.latest_id), at)) {
      accuse(`was told of a gap where there is none: ${JSON.stringify(gap)}`);
    }
    advance(requested, "was told of a gap after");
    position = Math.max(requested, through);
  }

  function judgeEvent(type: string, id: number, fingerprint: string): void {
    if (owesGap) {
      accuse(`connected had no id, and no gap followed`);
      owesGap = false;
    }
    const event = ledger.at(id);
    if (position === null) {
      accuse(`got event ${id} before connected`);
    } else if (id <= position) {
      accuse(`got event ${id} again, or out of order`);
      return;
    }
    advance(id - 1, `got event ${id} after`);
    position = id;
    if (event === undefined) {
      accuse(`got event ${id} (${type}), which was never acknowledged`);
    } else if (event.type !== type || ledger.fingerprintAt(id) !== fingerprint) {
      accuse(`got event ${id} as another (${type}); published as ${event.type} ${event.data.name}`);
    } else if (!isWanted(event, wanted)) {
      accuse(`got event ${id} (${type}), which its filter hides`);
    }
  }

  function judgeEnd(type: string, data: string): void {
    const { error_type, reason } = JSON.parse(data) as { error_type?: string; reason?: string };
    const isExpected =
      type === "close"
        ? ["slow_client", "max_age", "shutdown"].includes(reason ?? "")
        : type === "error" && error_type === "slow_client";
    if (!isExpected) {
      accuse(`was told ${type}: ${data}`);
    }
  }
}
