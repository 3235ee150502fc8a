import { closedRefusal } from "../hub/closing.ts";
import { HubError } from "../hub/errors.ts";
import type { Entrant, Knowledge } from "../service/host.ts";
import { ChannelTable, type Forgotten, type Vacant } from "./channel-table.ts";
import { CreationQuota } from "./creation-quota.ts";
import { DIRECTORY_MIGRATIONS } from "./directory-migrations.ts";
import { DrainTable } from "./drain-table.ts";
import { migrate } from "./migrations.ts";
import type { KeyValues, Sql } from "./sql.ts";

/** A channel that was never published to is forgotten this long after its last client: its place is needed by others. */
const FORGET_AFTER_MS = 600_000;

/** Channels that are forgotten at once; each opens its hub. */
const FORGOTTEN_AT_ONCE = 50;

/** Names of one answer. */
const PAGE = 1_000;

/** What holds for a channel because of all of them. */
export interface Standing extends Pick<Knowledge, "epoch" | "drainUntil"> {
  /** The service is shutting down. */
  readonly isStopping: boolean;
}

/** How many channels may come into being. */
export interface CreationLimits {
  readonly max_unpublished_channels: number;
  readonly max_new_channels_per_hour_per_token: number;
  readonly max_new_channels_per_hour_per_address: number;
}

/** What a directory needs from where it runs. */
export interface DirectoryPlace {
  readonly sql: Sql;
  readonly kv: KeyValues;
  readonly limits: CreationLimits;
  /** Which start of the service this is. Empty on the edge, where nothing starts. */
  readonly launchId: string;
}

/**
 * Knows which channels exist and which of them have clients. So a look at a channel that nobody has used creates nothing,
 * the number of channels is bounded, and a drain or a stop of all reaches only those that have something to end.
 */
export class Directory {
  readonly #place: DirectoryPlace;
  readonly #channels: ChannelTable;
  readonly #drains: DrainTable;
  readonly #creations: CreationQuota;

  constructor(place: DirectoryPlace) {
    const { sql, kv } = place;
    migrate(sql, DIRECTORY_MIGRATIONS);
    this.#place = place;
    this.#channels = new ChannelTable(sql);
    this.#drains = new DrainTable(sql, kv);
    this.#creations = new CreationQuota(sql);
    this.#startOver();
  }

  /** What is known of a channel. Writes nothing. */
  look(channel: string): Knowledge {
    return { isKnown: this.#channels.has(channel), ...this.#drains.of(channel) };
  }

  /**
   * Somebody wants to use a channel. A new one is entered within the bounds. Drains are told by `occupy` alone: what a hub
   * is told has to be taken back.
   *
   * @throws HubError `too_many_channels`, `channels_full`, `draining` or `shutting_down` for a new one
   */
  enter(channel: string, entrant: Entrant): Standing {
    return { ...this.#admit(channel, entrant), drainUntil: null };
  }

  /**
   * The same for the hub of a channel that is about to have a client: from now on it is told of drains and stops.
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

  /** The hub of a channel has no clients any more. */
  vacate(channel: string): void {
    this.#channels.setOccupied(channel, false);
  }

  /** The channels that have clients, in the order of their names, from after one of them. */
  occupied(after = "", limit = PAGE): string[] {
    return this.#channels.occupied(after, limit);
  }

  /** The most active channels, and how many there are: those with clients first, then those that were used last. */
  active(limit: number): { channels: string[]; total: number } {
    return { channels: this.#channels.active(limit), total: this.#channels.count() };
  }

  /** Drains all channels until a time. Those with clients have to be told; the others learn of it by `occupy`. */
  drainAll(until: number): number {
    return this.#drains.drainAll(until);
  }

  /** Ends the drains of all channels. Those that were told of one have to be told of its end. */
  resumeAll(): number {
    return this.#drains.resumeAll();
  }

  /** The channels that were told of a drain, in the order of their names, from after one of them. */
  drained(after = "", limit = PAGE): string[] {
    return this.#drains.channels(after, limit);
  }

  /** The hub of a channel was told that all drains before an epoch are over. */
  resumed(channel: string, epoch: number): void {
    this.#drains.forget(channel, epoch);
  }

  /** Drains one channel. Its hub has to be told, if it has one. */
  drain(channel: string, until: number): Knowledge {
    this.#drains.drain(channel, until);
    return this.look(channel);
  }

  /** Ends the drain of one channel, and holds it open during a drain of all. Its hub has to be told, if it has one. */
  resume(channel: string): Knowledge {
    this.#drains.resume(channel);
    return this.look(channel);
  }

  /** The service is shutting down. Returns the channels that have clients. */
  stop(): string[] {
    this.#place.kv.put("stopping", this.#place.launchId);
    return this.#channels.occupied("", Number.MAX_SAFE_INTEGER);
  }

  /** Channels that nobody has published to and that have had no client for so long that they are to be forgotten. */
  vacant(): Vacant[] {
    return this.#channels.vacantSince(Date.now() - FORGET_AFTER_MS, FORGOTTEN_AT_ONCE);
  }

  /** Takes note of what became of a vacant channel. */
  settle({ name, usedAt }: Vacant, found: Forgotten): void {
    this.#channels.settle(name, usedAt, found);
  }

  /** When the next channel is to be forgotten; null: there is none. */
  nextForgetting(): number | null {
    const since = this.#channels.oldestVacant();
    return since === null ? null : Math.max(Date.now(), since + FORGET_AFTER_MS);
  }

  #admit(channel: string, { role, key }: Entrant): Standing {
    const { kv, launchId } = this.#place;
    const isStopping = kv.get("stopping") === launchId;
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
    const { limits } = this.#place;
    const isPublished = role === "publisher";
    if (!isPublished && this.#channels.countUnpublished() >= limits.max_unpublished_channels) {
      const detail = "Too many channels exist that nobody has published to. Those that exist go on.";
      throw new HubError("channels_full", detail);
    }
    const limit = isPublished
      ? limits.max_new_channels_per_hour_per_token
      : limits.max_new_channels_per_hour_per_address;
    this.#creations.use(key === null ? null : `${role} ${key}`, limit);
    this.#channels.add(channel, isPublished);
  }

  /** After a start by the local launcher no channel has clients, and no drain is in force. On the edge nothing starts. */
  #startOver(): void {
    const { kv, launchId } = this.#place;
    if (launchId !== "" && kv.get("launch") !== launchId) {
      this.#channels.vacateAll();
      this.#drains.clear();
      kv.put("launch", launchId);
    }
  }
}
