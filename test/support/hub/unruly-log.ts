import {
  MemoryEventLog,
  type Detail,
  type Outline,
  type StoredEvent,
} from "../../../src/hub/log/event-log.ts";

/** A log in memory whose events can become durable late, and whose reads and writes can fail. */
export class UnrulyLog extends MemoryEventLog {
  /** Reads fail while this is set. */
  failing = false;
  /** Appends fail with this error, if it is set. */
  appendError: Error | null = null;
  /** How often the log was read, and how many events were read. */
  reads = 0;
  eventsRead = 0;
  #held: { resolve: () => void; reject: (error: Error) => void }[] | null = null;

  /** Holds every sync back from now on. */
  hold(): void {
    this.#held ??= [];
  }

  /** Resolves every sync that was held back. Later ones resolve at once. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { resolve } of held) {
      resolve();
    }
  }

  /** Resolves only the oldest sync that was held back. */
  releaseOldest(): void {
    this.#held?.shift()?.resolve();
  }

  /** Rejects every sync that was held back, as if the storage broke. */
  breakSync(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { reject } of held) {
      reject(new Error("the storage is broken"));
    }
  }

  override append(...parameters: Parameters<MemoryEventLog["append"]>): ReturnType<MemoryEventLog["append"]> {
    if (this.appendError !== null) {
      throw this.appendError;
    }
    return super.append(...parameters);
  }

  override sync(): Promise<void> {
    return this.#held === null
      ? super.sync()
      : new Promise((resolve, reject) => {
          this.#held?.push({ resolve, reject });
        });
  }

  override outline(...parameters: Parameters<MemoryEventLog["outline"]>): Outline[] {
    const outlines = super.outline(...parameters);
    const [, , needsFields] = parameters;
    this.reads++;
    this.eventsRead += outlines.length;
    return needsFields ? outlines : outlines.map((each) => ({ ...each, fields: {} }));
  }

  /** Returns only the requested fields, like a log in SQLite, where every column costs time. */
  override read(after: number, maxBytes: number, detail: Detail): StoredEvent[] {
    if (this.failing) {
      throw new Error("the disk is gone");
    }
    const events = super.read(after, maxBytes, detail);
    this.reads++;
    this.eventsRead += events.length;
    return events.map(({ seq, type, data, isText, fields, publishedAt }) => ({
      seq,
      type,
      data,
      isText,
      fields: detail === "frame" ? {} : fields,
      publishedAt: detail === "all" ? publishedAt : 0,
    }));
  }
}
