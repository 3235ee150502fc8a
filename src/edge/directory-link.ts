import { HubError } from "../hub/errors.ts";
import type { Logger } from "../hub/logger.ts";
import { unwrap, type Answer } from "./answer.ts";
import type { Standing } from "../sql/directory.ts";
import type { DirectoryRpc } from "./objects.ts";

/** What a link needs from the object that it belongs to. */
export interface LinkHost {
  /** Gives a stub of the directory. A stub that has failed stays broken, so every question asks for a new one. */
  directory(): DurableObjectStub<DirectoryRpc>;
  readonly logger: Logger;
  /** Whether the log of the channel was created. */
  exists(): boolean;
  /** Applies a stop, or a drain that the hub does not know. */
  heed(standing: Standing): Promise<void>;
}

/**
 * What one hub and the directory know of each other. A channel that exists goes on when the directory cannot be reached;
 * one that does not exist is not created then.
 */
export class DirectoryLink {
  readonly #channel: string;
  readonly #host: LinkHost;
  /** The newest drain or resume that this hub has heard of. */
  #epoch = 0;
  #isPublished = false;
  /** Whether the directory counts this channel among those with clients; null: not known in this life of the object. */
  #isOccupied: boolean | null = null;
  /** One question at a time: an answer must not overtake another one. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(channel: string, host: LinkHost) {
    this.#channel = channel;
    this.#host = host;
  }

  get isOccupied(): boolean {
    return this.#isOccupied === true;
  }

  /**
   * Says that the channel is published to. Asks once in the life of an object.
   *
   * @throws HubError as `DirectoryObject.enter`, or `hub_unreachable`
   */
  async enter(publisher: string | null): Promise<void> {
    if (this.#isPublished) {
      return;
    }
    await this.#inTurn(async () => {
      if (!this.#isPublished) {
        const entrant = { role: "publisher", key: publisher } as const;
        this.#isPublished = await this.#ask((directory) => directory.enter(this.#channel, entrant));
      }
    });
  }

  /**
   * Says that the channel is about to have a client. Asks nothing while the directory knows.
   *
   * @throws HubError as `DirectoryObject.occupy`, or `hub_unreachable`
   */
  async occupy(address: string | null): Promise<void> {
    if (this.#isOccupied === true) {
      return;
    }
    await this.#inTurn(async () => {
      if (this.#isOccupied !== true) {
        this.#isOccupied = (await this.#ask((directory) => directory.occupy(this.#channel, address))) || null;
      }
    });
  }

  /** Says that the channel has no client. False: the directory cannot be reached, and has to be told later. */
  async vacate(): Promise<boolean> {
    if (this.#isOccupied === false) {
      return true;
    }
    // From now on a client makes the directory be asked again, after this.
    this.#isOccupied = false;
    return this.#inTurn(async () => {
      try {
        unwrap(await this.#host.directory().vacate(this.#channel));
        return true;
      } catch (error) {
        this.#isOccupied = null;
        this.#host.logger("warn", "directory_unreachable", { error: String(error) });
        return false;
      }
    });
  }

  /** Until when the next client will find the channel drained; null: it will not, or that cannot be told. */
  async drainUntil(): Promise<number | null> {
    if (this.#isOccupied === true) {
      return null;
    }
    try {
      const { epoch, drainUntil } = unwrap(await this.#host.directory().look(this.#channel));
      return epoch >= this.#epoch ? drainUntil : null;
    } catch {
      return null;
    }
  }

  /** Whether a drain or a resume is newer than what this hub has heard: two of them can come in the wrong order. */
  isNews(epoch: number | null): boolean {
    if (epoch !== null && epoch < this.#epoch) {
      return false;
    }
    this.#epoch = epoch ?? this.#epoch;
    return true;
  }

  /** Answers whether the directory could be asked. */
  async #ask(
    question: (directory: DurableObjectStub<DirectoryRpc>) => Promise<Answer<Standing>>,
  ): Promise<boolean> {
    let standing: Standing;
    try {
      standing = unwrap(await question(this.#host.directory()));
    } catch (error) {
      if (error instanceof HubError) {
        throw error;
      }
      this.#host.logger("warn", "directory_unreachable", { error: String(error) });
      if (!this.#host.exists()) {
        throw new HubError("hub_unreachable", "A new channel cannot be entered into the directory just now.");
      }
      return false;
    }
    const isNews = this.isNews(standing.epoch);
    await this.#host.heed(isNews ? standing : { ...standing, drainUntil: null });
    return true;
  }

  #inTurn<Value>(work: () => Promise<Value>): Promise<Value> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }
}
