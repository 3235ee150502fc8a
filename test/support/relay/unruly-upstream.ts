import type { ClientStream } from "../../../src/hub/audience/client.ts";
import { HubError } from "../../../src/hub/errors.ts";
import type { HistoryPage } from "../../../src/hub/log/history.ts";
import type { HistoryRequest } from "../../../src/hub/log/ledger.ts";
import type { FeedStart, Upstream } from "../../../src/relay/upstream.ts";
import type { FakeHub } from "../hub/fake-hub.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What goes wrong with the next frame of a stream. */
export type FrameFault = "twice" | "drop" | "swap" | "half" | "rubbish" | "late";

/** What goes wrong with the next answer to a question. */
export type AnswerFault = "late" | "never" | "refused" | "failed" | "hole" | "disorder";

/** The way from a hub to its relay, on which anything can go wrong. */
export class UnrulyUpstream implements Upstream {
  hub: FakeHub;
  /** The hub accepts no stream, or never answers. */
  away: "no" | "refuses" | "never" = "no";
  /** Frames do not arrive, and nobody notices. */
  isSilent = false;
  readonly frameFaults: FrameFault[] = [];
  readonly answerFaults: AnswerFault[] = [];
  readonly #streams = new Set<UnrulyStream>();

  constructor(hub: FakeHub) {
    this.hub = hub;
  }

  /** Cuts all streams. */
  cut(): void {
    this.#streams.forEach((stream) => stream.fail());
  }

  async open(from: FeedStart, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    if (this.away === "never") {
      return new Promise(() => {});
    }
    if (this.away === "refuses") {
      throw new TypeError("fetch failed");
    }
    const stream = new UnrulyStream(this);
    this.#streams.add(stream);
    signal.addEventListener("abort", () => stream.fail());
    void stream.gone.then(() => this.#streams.delete(stream));
    const { cursor, logName, since } = from;
    await this.hub.hub.connect(
      {
        terms: {},
        form: "envelope",
        start: {
          lastEventId: cursor === null ? null : String(cursor),
          logName,
          since: cursor === null ? since : null,
        },
        address: null,
        endsAt: null,
      },
      stream,
    );
    return stream.readable;
  }

  async history(request: HistoryRequest): Promise<HistoryPage> {
    const { clock } = this.hub;
    if (this.away === "refuses") {
      throw new TypeError("fetch failed");
    }
    const answer = await this.hub.hub.history(request);
    switch (this.away === "never" ? "never" : this.#nextFault(request)) {
      case "never":
        return new Promise(() => {});
      case "late":
        await new Promise<void>((resolve) => void clock.after(3_000, resolve));
        return answer;
      case "refused":
        throw new HubError("busy", "Too many.");
      case "failed":
        throw new Error("the object was reset");
      case "hole":
        return { ...answer, events: answer.events.slice(1) };
      case "disorder":
        return { ...answer, events: answer.events.toReversed() };
      case undefined:
        return answer;
    }
  }

  /** Faults that nobody can notice in this answer wait for the next one. */
  #nextFault(request: HistoryRequest): AnswerFault | undefined {
    const index = this.answerFaults.findIndex((fault) => isWhole(request) || !UNNOTICED.has(fault));
    return index === -1 ? undefined : this.answerFaults.splice(index, 1)[0];
  }
}

const UNNOTICED: ReadonlySet<AnswerFault> = new Set(["hole", "disorder"]);

/**
 * Nobody can notice a hole in an answer that a filter has thinned, or in the one event that shows where a client starts.
 */
function isWhole({ terms, limit }: HistoryRequest): boolean {
  return limit > 1 && Object.keys(terms).length === 0;
}

/** One stream on that way. */
class UnrulyStream implements ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly gone: Promise<void>;
  readonly #upstream: UnrulyUpstream;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #leave: () => void = () => {};
  #swapped = "";
  #isOver = false;
  /** The frames before this time have to arrive first. */
  #lateUntil = 0;

  constructor(upstream: UnrulyUpstream) {
    this.#upstream = upstream;
    this.gone = new Promise((resolve) => {
      this.#leave = resolve;
    });
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => {
        this.#isOver = true;
        this.#leave();
      },
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) {
      throw new Error("the relay is gone");
    }
    for (const frame of decoder.decode(bytes).split(/(?<=\n\n)/)) {
      this.#pass(frame);
    }
  }

  async end(): Promise<void> {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#controller?.close();
      this.#leave();
    }
  }

  fail(): void {
    if (!this.#isOver) {
      this.#isOver = true;
      this.#controller?.error(new TypeError("terminated"));
      this.#leave();
    }
  }

  #pass(frame: string): void {
    const before = this.#swapped;
    this.#swapped = "";
    switch (this.#upstream.frameFaults.shift()) {
      case "twice":
        this.#send(before + frame + frame);
        break;
      case "drop":
        this.#send(before);
        break;
      case "swap":
        this.#send(before);
        this.#swapped = frame;
        break;
      case "half":
        this.#send(before + frame.slice(0, Math.floor(frame.length / 2)));
        this.fail();
        break;
      case "rubbish":
        this.#send(`${before}event: tick\nid: 1\ndata: }{\n\n${frame}`);
        break;
      case "late":
        this.#lateUntil = this.#upstream.hub.clock.now() + 2_000;
        this.#send(before + frame);
        break;
      case undefined:
        this.#send(frame + before);
    }
  }

  #send(text: string): void {
    const { clock } = this.#upstream.hub;
    if (this.#upstream.isSilent || text === "") {
      return;
    }
    const send = (): void => {
      if (!this.#isOver) {
        this.#controller?.enqueue(encoder.encode(text));
      }
    };
    const waitMs = this.#lateUntil - clock.now();
    if (waitMs > 0) {
      clock.after(waitMs, send);
    } else {
      send();
    }
  }
}
