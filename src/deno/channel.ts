import { rmSync } from "node:fs";
import { join } from "node:path";

import type { Config } from "../config/schema.ts";
import type { OpenStreams } from "../hub/audience/open-streams.ts";
import type { FilterTerms } from "../hub/filter.ts";
import { HubError } from "../hub/errors.ts";
import { Hub } from "../hub/hub.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import type { Logger } from "../hub/logger.ts";
import { RelayedHub } from "../relay/relayed-hub.ts";
import type { RelayPort } from "../relay/relay-port.ts";
import type { Lease, LeaseRequest } from "../relay/seat-lease.ts";
import { relayedHubSettingsOf, settingsOf } from "../service/hub-settings.ts";
import type { Alarms } from "../sql/alarms.ts";
import type { Forgotten } from "../sql/channel-table.ts";
import type { Directory } from "../sql/directory.ts";
import { SeatTable } from "../sql/seat-table.ts";
import { SqlLog } from "../sql/sql-log.ts";
import { processClock as clock } from "./clock.ts";
import { Database } from "./database.ts";

/** The parts of a process that its channels share. */
export interface ChannelPlace {
  readonly config: Config;
  readonly directory: Directory;
  readonly alarms: Alarms;
  /** Shared by all channels of the process. */
  readonly openStreams: OpenStreams;
  readonly logger: (channel: string) => Logger;
  /** One SQLite file for each channel. */
  readonly folder: string;
  /** Reaches a relay of a channel. Absent if the hubs serve their clients themselves. */
  readonly relay?: ((channel: string, relay: string) => RelayPort) | undefined;
}

/** The most relays of a channel: one for each serving process. */
const MOST_RELAYS = 50;

/** A channel that is open: its hub, its file and its timer. */
export class Channel {
  readonly hub: Hub | RelayedHub;
  readonly #name: string;
  readonly #place: ChannelPlace;
  readonly #file: string;
  readonly #database: Database;
  readonly #log: SqlLog;
  readonly #logger: Logger;
  /** How many requests are running. Meanwhile the channel is not closed or forgotten. */
  #arriving = 0;
  #usedAt = clock.now();
  #alarmAt: number | null = null;
  #hasAlarmRow = false;
  #cancelAlarm: () => void = () => {};
  /** The newest drain or resume that this hub was told of. Two of them can arrive in the wrong order. */
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
      this.hub = this.#createHub();
      this.hub.restore({ alarmAt: null, drainUntil: null });
    } catch (error) {
      this.#database.close();
      throw error;
    }
  }

  /** Gives seats to a relay, or takes them back. */
  async lease(request: LeaseRequest): Promise<Lease> {
    if (this.hub instanceof RelayedHub) {
      return this.hub.lease(request);
    }
    throw new HubError("hub_unreachable", "This process has no relays.");
  }

  /** Whether its file can no longer be read. Then it has to be opened again. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Runs work on the channel, and keeps it open meanwhile. */
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
   * Enters the channel in the directory as published. Asks the directory only once while the hub is open.
   *
   * @throws HubError as `Directory.enter`
   */
  enter(publisher: string | null): void {
    if (!this.#isEntered) {
      this.#place.directory.enter(this.#name, { role: "publisher", key: publisher });
      this.#isEntered = true;
    }
  }

  /** Publishes, and stores the alarm that trims the log before it answers, so that a crash does not forget the alarm. */
  async publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms,
  ): Promise<Receipt[]> {
    this.enter(publisher);
    const receipts = await this.hub.publish(events, publisher, grant);
    // The events are stored. Only the alarm can fail here, and its own database logs that.
    await this.#place.alarms.kept().catch(() => {});
    return receipts;
  }

  /** Whether a drain or a resume is newer than the last one that this hub was told of. */
  isNews(epoch: number | null): boolean {
    if (epoch !== null && epoch < this.#epoch) {
      return false;
    }
    this.#epoch = epoch ?? this.#epoch;
    return true;
  }

  /** Whether the channel can be closed: without clients or running requests, and unused since a time. */
  isIdleSince(time: number): boolean {
    if (!this.#isUnused || this.#usedAt > time) {
      return false;
    }
    if (this.hub instanceof RelayedHub) {
      return this.#drainUntil === null || this.#drainUntil <= clock.now();
    }
    const { status, lingeringConnections } = this.hub.health();
    return lingeringConnections === 0 && status !== "draining";
  }

  /** Closes the file, and leaves its later work to the alarms. */
  close(): void {
    this.#cancelAlarm();
    this.#vacate();
    this.#place.alarms.set(this.#name, this.#log.head >= this.#log.oldest ? this.#alarmAt : null);
    this.#database.close();
  }

  /** Deletes the channel if it was never published to and has no client. */
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

  /** Does the work that is due, such as heartbeats and trimming. */
  async tick(): Promise<void> {
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

  #createHub(): Hub | RelayedHub {
    const { config, openStreams, relay } = this.#place;
    const host = {
      log: this.#log,
      clock,
      logger: this.#logger,
      random: Math.random,
      openStreams,
      setAlarm: (at: number) => this.#setAlarm(at),
      saveDrain: (until: number | null) => {
        this.#drainUntil = until;
      },
      beforeFirstClient: (address: string | null) => this.#occupy(address),
    };
    if (relay === undefined) {
      return new Hub(settingsOf(config, this.#name), host);
    }
    // A process holds as many clients as the channel may have.
    const settings = { clientsPerObject: config.sse.max_connections, maxRelays: MOST_RELAYS };
    return new RelayedHub(
      { ...relayedHubSettingsOf(config, this.#name), ...settings },
      {
        ...host,
        seatStore: new SeatTable(this.#database),
        relay: (name) => relay(this.#name, name),
      },
    );
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
    this.#cancelAlarm = clock.after(Math.max(0, at - clock.now()), () => void this.tick());
  }

  async #occupy(address: string | null): Promise<void> {
    if (this.#isOccupied) {
      return;
    }
    const { epoch, drainUntil, isStopping } = this.#place.directory.occupy(this.#name, address);
    this.#isOccupied = true;
    if (isStopping) {
      await this.hub.stop();
      await this.hub.settled();
    } else if (this.isNews(epoch) && drainUntil !== null && drainUntil !== this.#drainUntil) {
      await this.hub.drain(drainUntil);
    }
  }

  #vacate(): void {
    if (this.#isOccupied) {
      this.#isOccupied = false;
      this.#place.directory.vacate(this.#name);
    }
  }

  /** Continues from the durable events after writes were lost. */
  #takeBack(error: unknown): void {
    this.#logger("error", "commit_failed", { error: String(error) });
    try {
      this.#log.reload();
    } catch (failure) {
      this.#logger("error", "channel_broken", { error: String(failure) });
      this.#isBroken = true;
      void this.hub.stop();
    }
  }
}
