import { openStream, type OpenStream } from "../service.ts";

/** How long a follower waits before it comes back, in milliseconds. */
const PAUSE_MS = 50;

/** A client that comes back with its last id whenever its stream ends or is refused. */
export class Follower {
  /** The ids of the events of publishers, over all streams. */
  readonly ids: number[] = [];
  /** The types of the service's own events, over all streams. */
  readonly frames: string[] = [];
  readonly refusals: string[] = [];
  /** How many streams it has opened. */
  connects = 0;
  /** Settles when the follower has stopped. */
  readonly done: Promise<void>;
  readonly #channel: string;
  readonly #continent: string;
  #lastEventId: string;
  #stream: OpenStream | null = null;
  #isStopped = false;

  /** @param lastEventId where it starts; empty: at the head */
  constructor(channel: string, { continent = "", lastEventId = "" } = {}) {
    this.#channel = channel;
    this.#continent = continent;
    this.#lastEventId = lastEventId;
    this.done = this.#follow();
  }

  get isConnected(): boolean {
    return this.#stream !== null;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#stream?.leave().catch(() => undefined);
    await this.done;
  }

  async #follow(): Promise<void> {
    while (!this.#isStopped) {
      try {
        const id = this.#lastEventId === "" ? "" : `&last_event_id=${this.#lastEventId}`;
        await this.#read(await openStream(this.#channel, id, this.#continent));
      } catch (error) {
        this.refusals.push(String(error));
      }
      this.#stream = null;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** Reads one stream to its end, and takes over what it has brought. */
  async #read(stream: OpenStream): Promise<void> {
    this.connects++;
    this.#stream = stream;
    let seen = 0;
    await stream
      .until(() => {
        for (const { type, id } of stream.events.slice(seen)) {
          if (type === "tick") {
            this.ids.push(Number(id));
          } else {
            this.frames.push(type);
          }
        }
        seen = stream.events.length;
        this.#lastEventId = stream.lastEventId || this.#lastEventId;
        return this.#isStopped;
      })
      .catch(() => undefined);
  }
}
