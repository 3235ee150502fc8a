import { DurableObject } from "cloudflare:workers";
import { Directory, type Standing } from "../sql/directory.ts";
import { answer, unwrap, type Answer } from "../service/answer.ts";
import type { Env } from "./env.ts";
import type { Entrant, Knowledge } from "../service/host.ts";
import { createLogger } from "../service/logger.ts";
import { objectSql } from "./object-sql.ts";
import type { DirectoryRpc } from "./objects.ts";

/** The Durable Object of the directory: its storage, its alarm and its requests. `src/sql/directory.ts` has the rest. */
export class DirectoryObject extends DurableObject<Env> implements DirectoryRpc {
  readonly #directory: Directory;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#directory = new Directory({
      sql: objectSql(ctx.storage),
      kv: ctx.storage.kv,
      limits: env.LIMITS,
      launchId: env.LAUNCH_ID ?? "",
    });
    void this.#armForgetting();
  }

  look(channel: string): Promise<Answer<Knowledge>> {
    return answer(() => this.#directory.look(channel));
  }

  /** Refuses a new channel with `too_many_channels`, `channels_full`, `draining` or `shutting_down`. */
  enter(channel: string, entrant: Entrant): Promise<Answer<Standing>> {
    return this.#armed(() => this.#directory.enter(channel, entrant));
  }

  occupy(channel: string, address: string | null): Promise<Answer<Standing>> {
    return this.#armed(() => this.#directory.occupy(channel, address));
  }

  vacate(channel: string): Promise<Answer<void>> {
    return this.#armed(() => this.#directory.vacate(channel));
  }

  occupied(after?: string, limit?: number): Promise<Answer<string[]>> {
    return answer(() => this.#directory.occupied(after, limit));
  }

  active(limit: number): Promise<Answer<{ channels: string[]; total: number }>> {
    return answer(() => this.#directory.active(limit));
  }

  drainAll(until: number): Promise<Answer<number>> {
    return answer(() => this.#directory.drainAll(until));
  }

  resumeAll(): Promise<Answer<number>> {
    return answer(() => this.#directory.resumeAll());
  }

  drained(after?: string, limit?: number): Promise<Answer<string[]>> {
    return answer(() => this.#directory.drained(after, limit));
  }

  resumed(channel: string, epoch: number): Promise<Answer<void>> {
    return answer(() => this.#directory.resumed(channel, epoch));
  }

  drain(channel: string, until: number): Promise<Answer<Knowledge>> {
    return answer(() => this.#directory.drain(channel, until));
  }

  resume(channel: string): Promise<Answer<Knowledge>> {
    return answer(() => this.#directory.resume(channel));
  }

  stop(): Promise<Answer<string[]>> {
    return answer(() => this.#directory.stop());
  }

  /** Forgets channels without a client that were never published to, because other channels need their places. */
  override async alarm(): Promise<void> {
    await Promise.all(
      this.#directory.vacant().map(async (vacant) => {
        const { name } = vacant;
        try {
          const found = unwrap(await this.env.HUBS.get(this.env.HUBS.idFromName(name)).forget());
          this.#directory.settle(vacant, found);
        } catch (error) {
          // It keeps its place until the next try.
          this.#directory.settle(vacant, "in_use");
          const fields = { channel: name, error: String(error) };
          createLogger(this.env.LOGGING.level)("warn", "channel_not_forgotten", fields);
        }
      }),
    );
    await this.#armForgetting();
  }

  /** Changes the directory, and sets the alarm for the next channel to forget. */
  #armed<Value>(work: () => Value): Promise<Answer<Value>> {
    return answer(async () => {
      const value = work();
      await this.#armForgetting();
      return value;
    });
  }

  async #armForgetting(): Promise<void> {
    const at = this.#directory.nextForgetting();
    if (at !== null && (await this.ctx.storage.getAlarm()) === null) {
      await this.ctx.storage.setAlarm(at);
    }
  }
}
