import {
  MemoryEventLog,
  type Detail,
  type Outline,
  type StoredEvent,
} from "../../../src/hub/log/event-log.ts";

/** A log in memory that can be slow to become durable, and can fail to be read or written. */
export class UnrulyLog extends MemoryEventLog {
  /** Reads fail while this is set. */
  failing = false;
  /** Appends fail with this. */
  appendError: Error | null = null;
  /** How often the log was read, and how many events that brought. */
  reads = 0;
  eventsRead = 0;
  #held: { resolve: () => void; reject: (error: Error) => void }[] | null = null;

  /** From now on nothing becomes durable. */
  hold(): void {
    this.#held ??= [];
  }

  /** Everything that waits becomes durable, and what comes after it at once. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const { resolve } of held) {
      resolve();
    }
  }

  /** The oldest sync that waits becomes durable; the later ones go on waiting. */
  releaseOldest(): void {
    this.#held?.shift()?.resolve();
  }

  /** The storage breaks: what waits never becomes durable. */
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
    const [, , needsIds] = parameters;
    this.reads++;
    this.eventsRead += outlines.length;
    return needsIds ? outlines : outlines.map((each) => ({ ...each, projectId: null, agentId: null }));
  }

  /** Gives no more than what is asked for, as a log does for which every column costs. */
  override read(after: number, maxBytes: number, detail: Detail): StoredEvent[] {
    if (this.failing) {
      throw new Error("the disk is gone");
    }
    const events = super.read(after, maxBytes, detail);
    this.reads++;
    this.eventsRead += events.length;
    return events.map(({ seq, type, data, projectId, agentId, publishedAt }) => ({
      seq,
      type,
      data,
      projectId: detail === "frame" ? null : projectId,
      agentId: detail === "frame" ? null : agentId,
      publishedAt: detail === "all" ? publishedAt : 0,
    }));
  }
}
