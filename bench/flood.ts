import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** What a flood has brought: how many requests were answered with each status. */
export type FloodResult = Readonly<Record<number, number>>;

export interface Flood {
  readonly url: string;
  /** Taken in turn. */
  readonly requests: readonly FloodRequest[];
  readonly perSecond: number;
  readonly seconds: number;
}

export interface FloodRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly localAddress?: string;
}

/**
 * Sends so many requests a second, each by a connection of its own, from a thread of its own: what is
 * measured beside it must not wait for it.
 */
export async function flood(options: Flood): Promise<FloodResult> {
  const worker = new Worker(new URL("flood-thread.ts", import.meta.url), { workerData: options });
  const [result] = (await once(worker, "message")) as [FloodResult];
  await worker.terminate();
  return result;
}
