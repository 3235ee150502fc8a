import { rmSync } from "node:fs";
import { join } from "node:path";

import type { Config } from "../config/schema.ts";
import type { OpenStreams } from "../hub/audience/open-streams.ts";
import type { FilterTerms } from "../hub/filter.ts";
import { Hub } from "../hub/hub.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import type { Logger } from "../hub/logger.ts";
import { settingsOf } from "../service/hub-settings.ts";
import type { Alarms } from "../sql/alarms.ts";
import type { Forgotten } from "../sql/channel-table.ts";
import type { Directory } from "../sql/directory.ts";
import { SqlLog } from "../sql/sql-log.ts";
import { processClock as clock } from "./clock.ts";
import { Database } from "./database.ts";

/** Where the channels of a process live. */
export interface ChannelPlace {
  readonly config: Config;
  readonly directory: Directory;
  readonly alarms: Alarms;
  /** Shared by all channels of the process. */
  readonly openStreams: OpenStreams;
  readonly logger: (channel: string) => Logger;
  /** One SQLite file for each channel. */
  readonly folder: string;
}

/** A channel that is open: its hub, its file and its timer. */
export class Channel {
  readonly hub: Hub;
  readonly #name: string;
  readonly #place: ChannelPlace;
  readonly #file: string;
  readonly #database: Database;
  readonly #log: SqlLog;
  readonly #logger: Logger;
  /** Requests that are being answered. While there are any, nothing is given up. */
  #arriving = 0;
  #usedAt = clock.now();
  #alarmAt: number | null = null;
  #hasAlarmRow = false;
  #cancelAlarm: () => void = () => {};
  /** The newest drain or resume that this hub has heard of: two of them can come in the wrong order. */
  #epoch = 0;
  #drainUntil: number | null = null;
  #isBroken = false;
  #isEntered = false;
  #isOccupied = false;

  constructor(name: string, place: ChannelPlace) {
    this.#name = name;
    this.#place = place;
    this.#logger = place.logger(name);
    this.#file = join(place.folder, `${name}.sqlite`);
    this.#database = new Database(this.#file, (error) => this.#takeBack(error));
    try {
      this.#log = new SqlLog(this.#database);
      this.hub = new Hub(settingsOf(place.config, name), {
        log: this.#log,
        clock,
        logger: this.#logger,
        random: Math.random,
        openStreams: place.openStreams,
        setAlarm: (at) => this.#setAlarm(at),
        saveDrain: (until) => {
          this.#drainUntil = until;
        },
        beforeFirstClient: (address) => this.#occupy(address),
      });
      this.hub.restore({ alarmAt: null, drainUntil: null });
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Its file can no longer be read: it has to be opened anew. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Does something at the hub, which stays open meanwhile. */
  async use<Value>(work: (channel: this) => Value | Promise<Value>): Promise<Value> {
    this.#arriving++;
    try {
      return await work(this);
    } finally {
      this.#arriving--;
      this.#usedAt = clock.now();
    }
  }

  /**
   * Says that the channel is published to. Asks once in the life of an open hub.
   *
   * @throws HubError as `Directory.enter`
   */
  enter(publisher: string | null): void {
    if (!this.#isEntered) {
      this.#place.directory.enter(this.#name, { role: "publisher", key: publisher });
      this.#isEntered = true;
    }
  }

  /** Publishes, and keeps the alarm that trims the log: a process that dies after its answer must not forget it. */
  async publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms,
  ): Promise<Receipt[]> {
    this.enter(publisher);
    const receipts = await this.hub.publish(events, publisher, grant);
    // The events are stored: a failure is the alarm's alone, and is logged where its file is.
    await this.#place.alarms.kept().catch(() => {});
    return receipts;
  }

  /** Whether a drain or a resume is newer than what this hub has heard. */
  isNews(epoch: number | null): boolean {
    if (epoch !== null && epoch < this.#epoch) {
      return false;
    }
    this.#epoch = epoch ?? this.#epoch;
    return true;
  }

  /** Whether nothing would be lost by closing it, and nothing was asked of it since a time. */
  isIdleSince(time: number): boolean {
    if (!this.#isUnused || this.#usedAt > time) {
      return false;
    }
    const { status, lingeringConnections } = this.hub.health();
    return lingeringConnections === 0 && status !== "draining";
  }

  /** Closes the file. What is due later is left to the alarms. */
  close(): void {
    this.#cancelAlarm();
    this.#vacate();
    this.#place.alarms.set(this.#name, this.#log.head >= this.#log.oldest ? this.#alarmAt : null);
    this.#database.close();
  }

  /** Deletes everything of a channel that nobody has published to and that has no client, and closes it. */
  forget(): Forgotten {
    if (!this.#isUnused) {
      return "in_use";
    }
    if (this.#log.head > 0) {
      return "published";
    }
    this.close();
    for (const ending of ["", "-wal", "-journal"]) {
      rmSync(`${this.#file}${ending}`, { force: true });
    }
    return "forgotten";
  }

  get #isUnused(): boolean {
    return this.hub.isEmpty && this.#arriving === 0;
  }

  #setAlarm(at: number): void {
    this.#cancelAlarm();
    this.#alarmAt = at;
    if (!this.#hasAlarmRow) {
      this.#hasAlarmRow = true;
      this.#place.alarms.leaveToHub(this.#name);
    }
    this.#cancelAlarm = clock.after(Math.max(0, at - clock.now()), () => void this.#tick());
  }

  async #tick(): Promise<void> {
    this.#alarmAt = null;
    this.#arriving++;
    try {
      await this.hub.tick();
    } finally {
      this.#arriving--;
    }
    if (this.#isUnused) {
      this.#vacate();
    }
  }

  async #occupy(address: string | null): Promise<void> {
    if (this.#isOccupied) {
      return;
    }
    const { epoch, drainUntil, isStopping } = this.#place.directory.occupy(this.#name, address);
    this.#isOccupied = true;
    if (isStopping) {
      this.hub.stop();
      await this.hub.settled();
    } else if (this.isNews(epoch) && drainUntil !== null && drainUntil !== this.#drainUntil) {
      this.hub.drain(drainUntil);
    }
  }

  #vacate(): void {
    if (this.#isOccupied) {
      this.#isOccupied = false;
      this.#place.directory.vacate(this.#name);
    }
  }

  /** Writes were lost before they were durable: the hub goes on from what is. */
  #takeBack(error: unknown): void {
    this.#logger("error", "commit_failed", { error: String(error) });
    try {
      this.#log.reload();
    } catch (failure) {
      this.#logger("error", "channel_broken", { error: String(failure) });
      this.#isBroken = true;
      this.hub.stop();
    }
  }
}
