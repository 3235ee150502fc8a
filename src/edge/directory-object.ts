import { DurableObject } from "cloudflare:workers";
import type { Env } from "./env.ts";
import { migrate } from "./migrations.ts";

const MIGRATIONS: readonly string[] = [
  `CREATE TABLE channels (name TEXT PRIMARY KEY, launch_id TEXT NOT NULL) STRICT, WITHOUT ROWID;`,
];

/** What the directory answers to a hub that says its channel is in use. */
export interface Entry {
  /** The channel was not known before. */
  readonly isNew: boolean;
  /** Until when all channels are drained; a hub that is new has not been told. */
  readonly drainUntil: number | null;
  /** The service is shutting down. */
  readonly isStopping: boolean;
}

/** A state of all channels, and the start of the service that it belongs to: after another one it is over. */
interface Kept<Value> {
  readonly value: Value;
  readonly launchId: string;
}

/** The one directory of all channels. */
export function directoryOf(env: Env): DurableObjectStub<DirectoryObject> {
  return env.DIRECTORY.get(env.DIRECTORY.idFromName("directory"));
}

/** Knows which channels exist, so that all of them can be drained, stopped and counted. */
export class DirectoryObject extends DurableObject<Env> {
  readonly #launchId: string;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#launchId = env.LAUNCH_ID ?? "";
    migrate(ctx.storage, MIGRATIONS);
  }

  /** A hub says that its channel is in use. */
  enter(channel: string): Entry {
    const { sql } = this.ctx.storage;
    const [known] = sql.exec<{ launch_id: string }>("SELECT launch_id FROM channels WHERE name = ?", channel);
    if (known?.launch_id !== this.#launchId) {
      sql.exec("INSERT OR REPLACE INTO channels (name, launch_id) VALUES (?, ?)", channel, this.#launchId);
    }
    return {
      isNew: known === undefined,
      drainUntil: this.#drainUntil(),
      isStopping: this.#kept<boolean>("stopping") ?? false,
    };
  }

  /** Every channel that exists, in the order of their names, from after one of them. */
  list(after = "", limit = 1_000): string[] {
    return this.#names("SELECT name FROM channels WHERE name > ? ORDER BY name LIMIT ?", after, limit);
  }

  /** Remembers a drain of all channels for those that are new; null ends it. */
  drain(until: number | null): void {
    this.#keep("drain", until);
  }

  /** Remembers that the service is shutting down. Answers the channels that were in use since it was started. */
  stop(): string[] {
    this.#keep("stopping", true);
    return this.#names("SELECT name FROM channels WHERE launch_id = ?", this.#launchId);
  }

  #drainUntil(): number | null {
    const until = this.#kept<number>("drain");
    return until !== null && until > Date.now() ? until : null;
  }

  #names(query: string, ...bindings: SqlStorageValue[]): string[] {
    return this.ctx.storage.sql
      .exec<{ name: string }>(query, ...bindings)
      .toArray()
      .map((row) => row.name);
  }

  #kept<Value>(key: string): Value | null {
    const kept = this.ctx.storage.kv.get<Kept<Value>>(key);
    return kept?.launchId === this.#launchId ? kept.value : null;
  }

  #keep<Value>(key: string, value: Value | null): void {
    if (value === null) {
      this.ctx.storage.kv.delete(key);
    } else {
      this.ctx.storage.kv.put<Kept<Value>>(key, { value, launchId: this.#launchId });
    }
  }
}
