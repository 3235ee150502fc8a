import { HubError } from "../hub/errors.ts";
import type { Entrant, Host, Knowledge } from "./host.ts";
import type { RefusalLog } from "./response/refusal-log.ts";

/** Channels that are remembered. The oldest is forgotten for a new one. */
const CHANNELS = 10_000;

/** How long a channel is remembered: one that nobody publishes to can be forgotten by the directory. */
const KEPT_MS = 60_000;

/** Which channels exist, as far as this process has learnt of the directory. */
export class KnownChannels {
  readonly #host: Pick<Host, "directory" | "logger" | "clock">;
  readonly #refusals: RefusalLog;
  /** Until when each channel counts as known. Unknown ones are not remembered: they can be any number. */
  readonly #knownUntil = new Map<string, number>();

  constructor(host: Pick<Host, "directory" | "logger" | "clock">, refusals: RefusalLog) {
    this.#host = host;
    this.#refusals = refusals;
  }

  /**
   * Enters a channel into the directory before its hub is woken, so that a channel which is refused costs no object.
   *
   * @throws HubError as `DirectoryPort.enter`
   */
  async enter(channel: string, entrant: Entrant): Promise<void> {
    if (this.#isRemembered(channel)) {
      return;
    }
    try {
      await this.#host.directory.enter(channel, entrant);
      this.#remember(channel);
    } catch (error) {
      if (error instanceof HubError) {
        this.#refusals.note(error);
        throw error;
      }
      // The hub goes on without the directory, if its channel exists.
      this.noteUnreachable(error);
    }
  }

  /** What is known of a channel without its hub. If the directory cannot be asked, its hub has to be. */
  async look(channel: string): Promise<Pick<Knowledge, "isKnown" | "drainUntil">> {
    if (this.#isRemembered(channel)) {
      return { isKnown: true, drainUntil: null };
    }
    try {
      const knowledge = await this.#host.directory.look(channel);
      if (knowledge.isKnown) {
        this.#remember(channel);
      }
      return knowledge;
    } catch (error) {
      this.noteUnreachable(error);
      return { isKnown: true, drainUntil: null };
    }
  }

  /** Says in the log that the directory could not be asked. */
  noteUnreachable(error: unknown): void {
    this.#host.logger("warn", "directory_unreachable", { error: String(error) });
  }

  #isRemembered(channel: string): boolean {
    return (this.#knownUntil.get(channel) ?? 0) > this.#host.clock.now();
  }

  #remember(channel: string): void {
    const [oldest] = this.#knownUntil.keys();
    this.#knownUntil.delete(channel);
    if (oldest !== undefined && this.#knownUntil.size >= CHANNELS) {
      this.#knownUntil.delete(oldest);
    }
    this.#knownUntil.set(channel, this.#host.clock.now() + KEPT_MS);
  }
}
