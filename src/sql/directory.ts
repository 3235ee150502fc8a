import { closedRefusal } from "../hub/closing.ts";
import { HubError } from "../hub/errors.ts";
import type { Entrant, Knowledge } from "../service/host.ts";
import { ChannelTable, type Forgotten, type Vacant } from "./channel-table.ts";
import { CreationQuota } from "./creation-quota.ts";
import { DIRECTORY_MIGRATIONS } from "./directory-migrations.ts";
import { DrainTable } from "./drain-table.ts";
import { LaunchValues } from "./launch-values.ts";
import { migrate } from "./migrations.ts";
import type { KeyValues, Sql } from "./sql.ts";

/** How long a channel that was never published to is kept after its last client. Other channels need its place. */
const FORGET_AFTER_MS = 600_000;

/** How many channels are forgotten at a time. Each of them opens its hub. */
const FORGOTTEN_AT_ONCE = 50;

/** The most names in one answer. */
const PAGE = 1_000;

/** The orders for all channels, as they apply to one of them. */
export interface Standing extends Pick<Knowledge, "epoch" | "drainUntil"> {
  /** The service is shutting down. */
  readonly isStopping: boolean;
}

/** The limits on new channels. */
export interface CreationLimits {
  readonly max_unpublished_channels: number;
  readonly max_new_channels_per_hour_per_token: number;
  readonly max_new_channels_per_hour_per_address: number;
}

/** The parts of the host that a directory uses. */
export interface DirectoryPlace {
  readonly sql: Sql;
  readonly kv: KeyValues;
  readonly limits: CreationLimits;
  /** Identifies this start of the service. Empty on the edge, where there are no starts. */
  readonly launchId: string;
}

/**
 * Knows which channels exist and which of them have clients. Reading from an unused channel therefore creates nothing, the
 * number of channels is bounded, and a drain or a stop of all channels reaches only those that have clients.
 */
export class Directory {
  readonly #limits: CreationLimits;
  readonly #launch: LaunchValues;
  readonly #channels: ChannelTable;
  readonly #drains: DrainTable;
  readonly #creations: CreationQuota;

  constructor({ sql, kv, limits, launchId }: DirectoryPlace) {
    migrate(sql, DIRECTORY_MIGRATIONS);
    this.#limits = limits;
    this.#launch = new LaunchValues(kv, launchId);
    this.#channels = new ChannelTable(sql);
    this.#drains = new DrainTable(sql, kv);
    this.#creations = new CreationQuota(sql);
    this.#startOver();
  }

  /** Describes a channel, and writes nothing. */
  look(channel: string): Knowledge {
    return { isKnown: this.#channels.has(channel), ...this.#drains.of(channel) };
  }

  /**
   * Enters a channel that somebody wants to use, within the limits on new channels. Only `occupy` tells of drains, because
   * a hub that was told of a drain has to be told of its end.
   *
   * @throws HubError `too_many_channels`, `channels_full`, `draining` or `shutting_down` for a new one
   */
  enter(channel: string, entrant: Entrant): Standing {
    return { ...this.#admit(channel, entrant), drainUntil: null };
  }

  /**
   * Enters a channel that is about to have a client. From now on its hub is told of drains and stops.
   *
   * @throws HubError as `enter`
   */
  occupy(channel: string, address: string | null): Standing {
    const standing = this.#admit(channel, { role: "client", key: address });
    this.#channels.setOccupied(channel, true);
    if (standing.drainUntil !== null) {
      this.#drains.told(channel, standing.drainUntil);
    }
    return standing;
  }

  /** Notes that a channel has no clients left. */
  vacate(channel: string): void {
    this.#channels.setOccupied(channel, false);
  }

  /** Notes that no channel has clients. A process that has just started calls it. */
  vacateAll(): void {
    this.#channels.vacateAll();
  }

  /** The next channels that have clients, in the order of their names, after a name. */
  occupied(after = "", limit = PAGE): string[] {
    return this.#channels.occupied(after, limit);
  }

  /** The most active channels (those with clients first, then those used last), and the number of all channels. */
  active(limit: number): { channels: string[]; total: number } {
    return { channels: this.#channels.active(limit), total: this.#channels.count() };
  }

  /** Drains all channels until a time. Tell those with clients; the others are told by `occupy`. */
  drainAll(until: number): number {
    return this.#drains.drainAll(until);
  }

  /** Ends the drains of all channels. Tell those that were told of a drain. */
  resumeAll(): number {
    return this.#drains.resumeAll();
  }

  /** The next channels that were told of a drain, in the order of their names, after a name. */
  drained(after = "", limit = PAGE): string[] {
    return this.#drains.channels(after, limit);
  }

  /** Notes that a hub was told of the end of all drains before an epoch. */
  resumed(channel: string, epoch: number): void {
    this.#drains.forget(channel, epoch);
  }

  /** Drains one channel. Tell its hub, if it has one. */
  drain(channel: string, until: number): Knowledge {
    this.#drains.drain(channel, until);
    return this.look(channel);
  }

  /** Ends the drain of one channel, and keeps it open during a drain of all channels. Tell its hub, if it has one. */
  resume(channel: string): Knowledge {
    this.#drains.resume(channel);
    return this.look(channel);
  }

  /** Refuses new clients from now on, because the service is shutting down. Returns the channels that have clients. */
  stop(): string[] {
    this.#launch.put("stopping", {});
    return this.#channels.occupied("", Number.MAX_SAFE_INTEGER);
  }

  /** The channels to forget: never published to, and without a client for long enough. */
  vacant(): Vacant[] {
    return this.#channels.vacantSince(Date.now() - FORGET_AFTER_MS, FORGOTTEN_AT_ONCE);
  }

  /** Notes whether a vacant channel was forgotten. */
  settle({ name, usedAt }: Vacant, found: Forgotten): void {
    this.#channels.settle(name, usedAt, found);
  }

  /** When the next channel is to be forgotten; null if there is none. */
  nextForgetting(): number | null {
    const since = this.#channels.oldestVacant();
    return since === null ? null : Math.max(Date.now(), since + FORGET_AFTER_MS);
  }

  #admit(channel: string, { role, key }: Entrant): Standing {
    const isStopping = this.#launch.get("stopping") !== null;
    const drained = this.#drains.of(channel);
    if (!this.#channels.has(channel)) {
      if (isStopping) {
        throw closedRefusal("shutting_down");
      }
      if (role === "client" && drained.drainUntil !== null) {
        throw closedRefusal("draining");
      }
      this.#create(channel, role, key);
    } else if (role === "publisher" && !this.#channels.isPublished(channel)) {
      this.#create(channel, role, key);
    }
    return { ...drained, isStopping };
  }

  #create(channel: string, role: Entrant["role"], key: string | null): void {
    const isPublished = role === "publisher";
    if (!isPublished && this.#channels.countUnpublished() >= this.#limits.max_unpublished_channels) {
      const detail = "Too many channels without a published event exist. Existing channels keep working.";
      throw new HubError("channels_full", detail);
    }
    const limit = isPublished
      ? this.#limits.max_new_channels_per_hour_per_token
      : this.#limits.max_new_channels_per_hour_per_address;
    this.#creations.use(key === null ? null : `${role} ${key}`, limit);
    this.#channels.add(channel, isPublished);
  }

  /** After a start of the local service no channel has clients and no drain is in force. On the edge there are no starts. */
  #startOver(): void {
    if (this.#launch.begin()) {
      this.#channels.vacateAll();
      this.#drains.clear();
    }
  }
}
