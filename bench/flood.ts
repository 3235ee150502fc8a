import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** The answers to a flood: how many requests got each status. */
export type FloodResult = Readonly<Record<number, number>>;

export interface Flood {
  /** Where the requests go, e.g. `http://127.0.0.1:8787`. */
  readonly origin: string;
  /** Sent in turn. */
  readonly requests: readonly FloodRequest[];
  readonly perSecond: number;
  readonly seconds: number;
}

export interface FloodRequest {
  /** `{n}` is replaced by the number of the request. */
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly localAddress?: string;
}

/**
 * Sends this many requests a second, each on a separate connection. A separate thread sends them, so that they do not
 * delay the measurement.
 */
export async function flood(options: Flood): Promise<FloodResult> {
  const worker = new Worker(new URL("flood-thread.ts", import.meta.url), { workerData: options });
  const [result] = (await once(worker, "message")) as [FloodResult];
  await worker.terminate();
  return result;
}
