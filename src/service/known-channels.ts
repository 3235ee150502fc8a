import { HubError } from "../hub/errors.ts";
import { Deadlines } from "./access/deadlines.ts";
import type { Entrant, Host, Knowledge } from "./host.ts";
import type { RefusalLog } from "./response/refusal-log.ts";

/** How many channels are remembered. */
const CHANNELS = 10_000;

/** How long a channel is remembered. The directory forgets channels that were never published to, so there is a limit. */
const KEPT_MS = 60_000;

/** Remembers which channels exist, so that the directory is not asked for each request. */
export class KnownChannels {
  readonly #host: Pick<Host, "directory" | "logger" | "clock">;
  readonly #refusals: RefusalLog;
  /** Until when each channel counts as known. Unknown channels are not remembered, because their number has no bound. */
  readonly #knownUntil = new Deadlines(CHANNELS);

  constructor(host: Pick<Host, "directory" | "logger" | "clock">, refusals: RefusalLog) {
    this.#host = host;
    this.#refusals = refusals;
  }

  /**
   * Enters a channel into the directory before its hub is woken, so that a refused channel costs no object.
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
      // The hub asks the directory again, and works without it if its channel already exists.
      this.noteUnreachable(error);
    }
  }

  /** The directory's knowledge of a channel. If the directory cannot be reached, ask the hub of the channel. */
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

  /** Logs that the directory cannot be reached. */
  noteUnreachable(error: unknown): void {
    this.#host.logger("warn", "directory_unreachable", { error: String(error) });
  }

  #isRemembered(channel: string): boolean {
    return this.#knownUntil.of(channel) > this.#host.clock.now();
  }

  #remember(channel: string): void {
    this.#knownUntil.set(channel, this.#host.clock.now() + KEPT_MS);
  }
}
