import { DurableObject } from "cloudflare:workers";
import { closedRefusal } from "../hub/closing.ts";
import { HubError } from "../hub/errors.ts";
import { LaunchValues } from "../sql/launch-values.ts";
import { answer, unwrap, type Answer } from "./answer.ts";
import { ChannelTable } from "./channel-table.ts";
import { CreationQuota } from "./creation-quota.ts";
import { DIRECTORY_MIGRATIONS } from "./directory-migrations.ts";
import { DrainTable } from "./drain-table.ts";
import type { Env } from "./env.ts";
import type { Entrant, Knowledge } from "../service/host.ts";
import { createLogger } from "../service/logger.ts";
import { migrate } from "./migrations.ts";
import type { DirectoryRpc, Standing } from "./objects.ts";

/** A channel that was never published to is forgotten this long after its last client: its place is needed by others. */
const FORGET_AFTER_MS = 600_000;

/** Channels that are forgotten at once; each wakes its object. */
const FORGOTTEN_AT_ONCE = 50;

/** Names of one answer. */
const PAGE = 1_000;

/**
 * Knows which channels exist and which of them have clients. So a look at a channel that nobody has used creates nothing,
 * the number of channels is bounded, and a drain or a stop of all wakes only those that have something to end.
 */
export class DirectoryObject extends DurableObject<Env> implements DirectoryRpc {
  readonly #launch: LaunchValues;
  readonly #channels: ChannelTable;
  readonly #drains: DrainTable;
  readonly #creations: CreationQuota;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#launch = new LaunchValues(ctx.storage.kv, env.LAUNCH_ID ?? "");
    migrate(ctx.storage, DIRECTORY_MIGRATIONS);
    this.#channels = new ChannelTable(ctx.storage.sql);
    this.#drains = new DrainTable(ctx.storage);
    this.#creations = new CreationQuota(ctx.storage.sql);
    this.#startOver();
  }

  /** What is known of a channel. Writes nothing. */
  look(channel: string): Promise<Answer<Knowledge>> {
    return answer(() => this.#look(channel));
  }

  /**
   * Somebody wants to use a channel. A new one is entered within the bounds. Drains are told by `occupy` alone: what a hub
   * is told has to be taken back.
   *
   * @returns a refusal `too_many_channels`, `channels_full`, `draining` or `shutting_down` of a new one; else what holds
   */
  enter(channel: string, entrant: Entrant): Promise<Answer<Standing>> {
    return answer(() => ({ ...this.#admit(channel, entrant), drainUntil: null }));
  }

  /** The same for the hub of a channel that is about to have a client: from now on it is told of drains and stops. */
  occupy(channel: string, address: string | null): Promise<Answer<Standing>> {
    return answer(() => {
      const standing = this.#admit(channel, { role: "client", key: address });
      this.#channels.setOccupied(channel, true);
      if (standing.drainUntil !== null) {
        this.#drains.told(channel, standing.drainUntil);
      }
      return standing;
    });
  }

  /** The hub of a channel has no clients any more. */
  vacate(channel: string): Promise<Answer<void>> {
    return answer(() => {
      this.#channels.setOccupied(channel, false);
      return this.#armForgetting();
    });
  }

  /** The channels that have clients, in the order of their names, from after one of them. */
  occupied(after = "", limit = PAGE): Promise<Answer<string[]>> {
    return answer(() => this.#channels.occupied(after, limit));
  }

  /** The most active channels, and how many there are: those with clients first, then those that were used last. */
  active(limit: number): Promise<Answer<{ channels: string[]; total: number }>> {
    return answer(() => ({ channels: this.#channels.active(limit), total: this.#channels.count() }));
  }

  /** Drains all channels until a time. Those with clients have to be told; the others learn of it by `occupy`. */
  drainAll(until: number): Promise<Answer<number>> {
    return answer(() => this.#drains.drainAll(until));
  }

  /** Ends the drains of all channels. Those that were told of one have to be told of its end. */
  resumeAll(): Promise<Answer<number>> {
    return answer(() => this.#drains.resumeAll());
  }

  /** The channels that were told of a drain, in the order of their names, from after one of them. */
  drained(after = "", limit = PAGE): Promise<Answer<string[]>> {
    return answer(() => this.#drains.channels(after, limit));
  }

  /** The hub of a channel was told that all drains before an epoch are over. */
  resumed(channel: string, epoch: number): Promise<Answer<void>> {
    return answer(() => this.#drains.forget(channel, epoch));
  }

  /** Drains one channel. Its hub has to be told, if it has one. */
  drain(channel: string, until: number): Promise<Answer<Knowledge>> {
    return answer(() => {
      this.#drains.drain(channel, until);
      return this.#look(channel);
    });
  }

  /** Ends the drain of one channel, and holds it open during a drain of all. Its hub has to be told, if it has one. */
  resume(channel: string): Promise<Answer<Knowledge>> {
    return answer(() => {
      this.#drains.resume(channel);
      return this.#look(channel);
    });
  }

  /** The service is shutting down. Answers the channels that have clients. */
  stop(): Promise<Answer<string[]>> {
    return answer(() => {
      this.#launch.put("stopping", {});
      return this.#channels.occupied("", Number.MAX_SAFE_INTEGER);
    });
  }

  /** Forgets channels that nobody has published to and that have no client, so that there is room for others. */
  override async alarm(): Promise<void> {
    const vacant = this.#channels.vacantSince(Date.now() - FORGET_AFTER_MS, FORGOTTEN_AT_ONCE);
    await Promise.all(
      vacant.map(async ({ name, usedAt }) => {
        try {
          const found = unwrap(await this.env.HUBS.get(this.env.HUBS.idFromName(name)).forget());
          this.#channels.settle(name, usedAt, found);
        } catch (error) {
          // It is tried again after another while, and until then holds its place.
          this.#channels.settle(name, usedAt, "in_use");
          const fields = { channel: name, error: String(error) };
          createLogger(this.env.LOGGING.level)("warn", "channel_not_forgotten", fields);
        }
      }),
    );
    await this.#armForgetting();
  }

  #look(channel: string): Knowledge {
    return { isKnown: this.#channels.has(channel), ...this.#drains.of(channel) };
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
    const { LIMITS } = this.env;
    const isPublished = role === "publisher";
    if (!isPublished && this.#channels.countUnpublished() >= LIMITS.max_unpublished_channels) {
      const detail = "Too many channels exist that nobody has published to. Those that exist go on.";
      throw new HubError("channels_full", detail);
    }
    const limit = isPublished
      ? LIMITS.max_new_channels_per_hour_per_token
      : LIMITS.max_new_channels_per_hour_per_address;
    this.#creations.use(key === null ? null : `${role} ${key}`, limit);
    this.#channels.add(channel, isPublished);
    if (!isPublished) {
      void this.#armForgetting();
    }
  }

  /** After a start by the local launcher no channel has clients, and no drain is in force. On the edge nothing starts. */
  #startOver(): void {
    if (this.#launch.begin()) {
      this.#channels.vacateAll();
      this.#drains.clear();
      void this.#armForgetting();
    }
  }

  async #armForgetting(): Promise<void> {
    const since = this.#channels.oldestVacant();
    if (since !== null && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(Math.max(Date.now(), since + FORGET_AFTER_MS));
    }
  }
}
