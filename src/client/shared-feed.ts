import type { Cursor, Position } from "./cursor.ts";
import type { Frame } from "../sse/decode.ts";
import type { TabLine, Tabs } from "./environment.ts";
import { Feed, type FeedOptions, type Source } from "./feed.ts";
import { LeaderLock } from "./leader-lock.ts";
import { SSEProblem } from "./problem.ts";
import { isWord, type Word } from "./tab-words.ts";
import { Watchdog } from "./watchdog.ts";

/**
 * A living leader answers within milliseconds. One that takes longer is frozen, or the browser has not noticed its
 * end.
 */
const GREETING_MS = 2_000;
const GREETING_SPREAD_MS = 1_000;

/** How often a leader says that it is alive. Browsers slow the timers of a hidden page down to one a minute. */
const BEAT_MS = 10_000;

/** The silence after which a leader is taken for dead, in intervals of 30 s. Longer than the timer of a hidden page. */
const SILENT_INTERVALS = 2.5;

export interface SharedFeedOptions extends FeedOptions {
  readonly tabs: Tabs;
  /** Tabs with the same name share a stream. */
  readonly name: string;
  readonly cursor: Cursor;
  /** Whether a client without an id starts with past events. */
  readonly startsInThePast: boolean;
}

/**
 * A stream that all tabs of a browser share. Every tab asks for the same lock. The tab that gets it leads: it holds
 * the stream and passes each frame on. When that tab is closed or crashes, the browser gives the lock to the next one,
 * which resumes after its own last id. A tab that has missed a frame reads a stream of its own until it has caught up.
 */
export class SharedFeed implements Source {
  readonly #options: SharedFeedOptions;
  readonly #feed: Feed;
  readonly #lock: LeaderLock;
  readonly #silence: Watchdog;
  #line: TabLine | undefined;
  #cancelGreeting: (() => void) | undefined;
  #cancelBeat: (() => void) | undefined;
  #isLeading = false;
  #isConnected = false;
  /** The data of the last `connected` event, for tabs that join. */
  #connected = "";
  /** The position of the leader, and whether its stream is open. Undefined if this tab leads. */
  #leader: { at: Position; isOpen: boolean } | undefined;

  constructor(options: SharedFeedOptions) {
    this.#options = options;
    const { environment, port } = options;
    this.#feed = new Feed({
      ...options,
      port: {
        receive: (frame, log) => this.#receiveOwn(frame, log),
        onConnected: () => this.#setConnected(true),
        onLost: (problem) => this.#setConnected(false, problem),
        onRetry: (retry) => port.onRetry(retry),
        onStop: (problem) => this.#stop(problem),
      },
    });
    this.#lock = new LeaderLock(options.tabs.locks, options.name, {
      onHeld: () => this.#lead(),
      onTaken: () => this.#follow(),
      onUnavailable: () => this.#lead(),
    });
    this.#silence = new Watchdog(environment, SILENT_INTERVALS + environment.random() / 2, () => {
      this.#lock.steal();
    });
  }

  open(): void {
    if (this.#line === undefined) {
      this.#line = this.#options.tabs.open(this.#options.name, (word) => {
        if (isWord(word)) {
          this.#hear(word);
        }
      });
      this.#lock.queue();
      this.#greet();
    }
  }

  close(): void {
    this.#resign();
    this.#lock.leave();
    this.#silence.stop();
    this.#cancelGreeting?.();
    this.#line?.close();
    this.#line = undefined;
    this.#leader = undefined;
    this.#isConnected = false;
  }

  checkPulse(): void {
    this.#feed.checkPulse();
    this.#greet();
  }

  #say(word: Word): void {
    this.#line?.say(word);
  }

  /** Asks for the leader, and takes over if none answers. */
  #greet(): void {
    if (this.#line === undefined || this.#isLeading) {
      return;
    }
    const { after, random } = this.#options.environment;
    this.#cancelGreeting?.();
    this.#cancelGreeting = after(GREETING_MS + GREETING_SPREAD_MS * random(), () => {
      this.#lock.steal();
    });
    this.#say({ word: "hello" });
  }

  #follow(): void {
    this.#resign();
    this.#lock.queue();
    this.#greet();
  }

  #lead(): void {
    this.#isLeading = true;
    this.#leader = undefined;
    this.#silence.stop();
    this.#cancelGreeting?.();
    if (!this.#feed.isOpen) {
      this.#setConnected(false);
    }
    this.#feed.open();
    this.#welcome();
    this.#beat();
  }

  #resign(): void {
    this.#isLeading = false;
    this.#cancelBeat?.();
    this.#feed.close();
    this.#lock.release();
  }

  #beat(): void {
    this.#cancelBeat = this.#options.environment.after(BEAT_MS, () => {
      this.#say({ word: "beat" });
      this.#beat();
    });
  }

  #welcome(): void {
    const at = this.#options.cursor.position;
    this.#say({ word: "welcome", at, isOpen: this.#feed.isOpen, connected: this.#connected });
  }

  #stop(problem: SSEProblem): void {
    if (this.#isLeading && problem.code === "kicked") {
      // Otherwise the next tab would lead and reopen the stream that an operator ended.
      this.#say({ word: "stop", code: problem.code, detail: problem.message });
    }
    this.#options.port.onStop(problem);
  }

  #setConnected(isConnected: boolean, problem?: SSEProblem): void {
    if (this.#isLeading) {
      this.#say({ word: isConnected ? "connected" : "lost" });
    }
    if (isConnected !== this.#isConnected || problem !== undefined) {
      this.#isConnected = isConnected;
      if (isConnected) {
        this.#options.port.onConnected();
      } else {
        this.#options.port.onLost(problem);
      }
    }
  }

  #hear(word: Word): void {
    if (word.word === "stop") {
      this.#options.port.onStop(new SSEProblem(word.code, word.detail, { final: true }));
    } else if (this.#isLeading) {
      if (word.word === "hello") {
        this.#welcome();
      }
    } else if (word.word !== "hello") {
      this.#cancelGreeting?.();
      this.#silence.heard();
      this.#heed(word);
    }
  }

  #heed(word: Exclude<Word, { word: "hello" | "stop" }>): void {
    if (word.word === "frame") {
      this.#followFrame(word.after, word.frame, word.log);
    } else if (word.word === "welcome") {
      this.#leader = { at: word.at, isOpen: word.isOpen };
      this.#join(word.at, word.connected);
    } else if (word.word !== "beat" && this.#leader !== undefined) {
      this.#leader.isOpen = word.word === "connected";
    }
    this.#settle();
    if (this.#leader !== undefined && !this.#feed.isStarted) {
      this.#setConnected(this.#leader.isOpen);
    }
  }

  #followFrame(after: Position, frame: Frame, log: string | undefined): void {
    const at = frame.id === undefined ? after : { id: frame.id, log };
    this.#leader = { at, isOpen: frame.event?.type !== "close" };
    this.#adopt(after);
    if (this.#feed.isStarted) {
      return;
    }
    if (this.#isLevel(after)) {
      this.#receive(frame, log);
    } else {
      this.#feed.open();
    }
  }

  #join(at: Position, connected: string): void {
    this.#adopt(at);
    if (!this.#isLevel(at)) {
      this.#feed.open();
    } else if (this.#connected === "" && connected !== "") {
      this.#receive({ id: undefined, event: { type: "connected", text: connected } }, at.log);
    }
  }

  /** A tab that wants new events only starts at the position of the leader. */
  #adopt(at: Position): void {
    const { cursor, startsInThePast } = this.#options;
    if (cursor.id === "" && !startsInThePast && !this.#feed.isStarted) {
      cursor.jump(at);
    }
  }

  /** Whether this tab misses nothing up to a position. */
  #isLevel({ id, log }: Position): boolean {
    const { cursor } = this.#options;
    return (id === cursor.id && log === cursor.log) || cursor.covers({ id, log });
  }

  /** Ends the stream of this tab once it has caught up with the leader. */
  #settle(): void {
    const leader = this.#isLeading ? undefined : this.#leader;
    if (leader !== undefined && this.#feed.isStarted && this.#options.cursor.covers(leader.at)) {
      this.#feed.close();
      this.#setConnected(leader.isOpen);
    }
  }

  #receiveOwn(frame: Frame, log: string | undefined): void {
    const after = this.#options.cursor.position;
    this.#receive(frame, log);
    if (this.#isLeading) {
      this.#say({ word: "frame", after, frame, log });
    }
    this.#settle();
  }

  #receive(frame: Frame, log: string | undefined): void {
    if (frame.event?.type === "connected") {
      this.#connected = frame.event.text;
    }
    this.#options.port.receive(frame, log);
  }
}
