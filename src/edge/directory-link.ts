import { HubError } from "../hub/errors.ts";
import type { Logger } from "../hub/logger.ts";
import { unwrap, type Answer } from "../service/answer.ts";
import type { Standing } from "../sql/directory.ts";
import type { DirectoryRpc } from "./objects.ts";

/** What a link needs from the object of its hub. */
export interface LinkHost {
  /** Makes a new stub of the directory for each question, because a stub that has failed stays broken. */
  directory(): DurableObjectStub<DirectoryRpc>;
  readonly logger: Logger;
  /** Whether the channel has a log. */
  exists(): boolean;
  /** Applies a stop, or a drain that the hub does not know yet. */
  heed(standing: Standing): Promise<void>;
}

/**
 * The connection of one hub to the directory. While the directory cannot be reached, existing channels keep working and no
 * channel is created.
 */
export class DirectoryLink {
  readonly #channel: string;
  readonly #host: LinkHost;
  /** The epoch of the newest drain or resume that this hub knows. */
  #epoch = 0;
  #isPublished = false;
  /** Whether the directory counts this channel among those with clients; null if this life of the object does not know. */
  #isOccupied: boolean | null = null;
  /** Ends with the last question. There is one question at a time, so that no answer overtakes an earlier one. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(channel: string, host: LinkHost) {
    this.#channel = channel;
    this.#host = host;
  }

  get isOccupied(): boolean {
    return this.#isOccupied === true;
  }

  /**
   * Tells the directory that the channel is published to, once in the life of the object.
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
   * Tells the directory that the channel is about to have a client, unless the directory knows.
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

  /** Tells the directory that the channel has no client. Resolves to false if the directory has to be told later. */
  async vacate(): Promise<boolean> {
    if (this.#isOccupied === false) {
      return true;
    }
    // Set before the question: a client that comes meanwhile asks the directory again, after this question.
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

  /** Until when a drain will refuse the next client; null if none will, or the directory cannot be reached. */
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

  /** Whether a drain or resume is not older than the newest one this hub knows. Two of them can arrive in the wrong order. */
  isNews(epoch: number | null): boolean {
    if (epoch !== null && epoch < this.#epoch) {
      return false;
    }
    this.#epoch = epoch ?? this.#epoch;
    return true;
  }

  /** Resolves to whether the directory answered. */
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
        throw new HubError(
          "hub_unreachable",
          "New channels cannot be created at the moment, because the directory of channels cannot be reached.",
        );
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
