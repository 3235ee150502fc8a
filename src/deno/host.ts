import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { OpenStreams } from "../hub/audience/open-streams.ts";
import { HubError } from "../hub/errors.ts";
import type { DirectoryPort, Host, TicketsPort } from "../service/host.ts";
import { createLogger } from "../service/logger.ts";
import { Alarms } from "../sql/alarms.ts";
import { Directory } from "../sql/directory.ts";
import { keyValues } from "../sql/key-values.ts";
import { directoryPort, ticketsPort } from "../sql/ports.ts";
import { isStorageFull, storageFull } from "../sql/storage-full.ts";
import { TICKET_SHARES, TicketTable } from "../sql/ticket-table.ts";
import type { ChannelPlace } from "./channel.ts";
import { Channels } from "./channels.ts";
import { processClock as clock } from "./clock.ts";
import { Database } from "./database.ts";
import { HostBase, type BaseOptions } from "./host-base.ts";

/** How often to look for unused channels and expired tickets. */
const TIDY_MS = 30_000;

/** The settings of a process that holds the hubs. */
export interface HostOptions extends BaseOptions {
  /** Authenticates the launcher. */
  readonly launcherToken: string;
  /** Drains end when this changes. */
  readonly launchId: string;
  /** Holds the directory, and a file for each channel. */
  readonly storageFolder: string;
  /** Reaches a relay of a channel. Absent if the hubs serve their clients themselves. */
  readonly relay?: ChannelPlace["relay"];
}

/** The ports of the service in one process. Everything is in its memory or in its own SQLite files. */
export class ProcessHost extends HostBase implements Host {
  readonly hubs: Channels;
  readonly directory: DirectoryPort;
  readonly tickets: TicketsPort;
  readonly launcherToken: string;
  readonly #database: Database;
  readonly #ticketDatabase: Database;
  readonly #directory: Directory;
  readonly #tickets: TicketTable;
  readonly #alarms: Alarms;
  #cancelTidying: () => void = () => {};

  constructor(options: HostOptions) {
    super(options);
    const { config, launcherToken, launchId, storageFolder } = options;
    const { level } = config.logging;
    const folder = join(storageFolder, "channels");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.launcherToken = launcherToken;
    const open = (name: string): Database =>
      new Database(join(storageFolder, `${name}.sqlite`), (error) =>
        this.logger("error", "commit_failed", { file: name, error: String(error) }),
      );
    this.#database = open("directory");
    this.#ticketDatabase = open("tickets");
    this.#directory = new Directory({
      sql: this.#database,
      kv: keyValues(this.#database),
      limits: config.limits,
      launchId,
    });
    this.#directory.vacateAll();
    this.#tickets = new TicketTable(this.#ticketDatabase, TICKET_SHARES);
    this.#alarms = new Alarms(this.#database, clock, (channel) => this.hubs.wake(channel));
    this.directory = directoryPort(this.#directory, this.#database);
    this.tickets = ticketsPort(this.#tickets, this.#ticketDatabase);
    this.hubs = new Channels({
      config,
      directory: this.#directory,
      alarms: this.#alarms,
      openStreams: new OpenStreams(),
      logger: (channel) => createLogger(level, { channel }),
      folder,
      relay: options.relay,
    });
    this.#alarms.start();
    this.#tidy();
  }

  refusalOf(failure: unknown): HubError | null {
    if (isStorageFull(failure)) {
      return storageFull();
    }
    const isStorage = (failure as { code?: unknown } | null)?.code === "ERR_SQLITE_ERROR";
    return isStorage
      ? new HubError("hub_unreachable", "The storage of this channel cannot be used at the moment.")
      : null;
  }

  /** Commits the pending writes, and closes all files. */
  close(): void {
    this.#cancelTidying();
    this.hubs.close();
    this.#alarms.stop();
    this.#ticketDatabase.close();
    this.#database.close();
  }

  /** Forgets vacant channels, because others need their places. */
  #tidy(): void {
    this.#cancelTidying = clock.after(TIDY_MS, () => this.#tidy());
    for (const vacant of this.#directory.vacant()) {
      try {
        this.#directory.settle(vacant, this.hubs.forget(vacant.name));
      } catch (error) {
        // It keeps its place until the next try.
        this.#directory.settle(vacant, "in_use");
        this.logger("warn", "channel_not_forgotten", { channel: vacant.name, error: String(error) });
      }
    }
    if ((this.#tickets.nextExpiry() ?? Number.POSITIVE_INFINITY) <= clock.now()) {
      this.#tickets.forgetExpired();
    }
  }
}
