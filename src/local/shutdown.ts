import { log } from "./log.ts";
import type { Runtime } from "./runtime.ts";

export interface ShutDownOptions {
  readonly signal: NodeJS.Signals;
  readonly runtime: Runtime;
  readonly url: string;
  readonly token: string;
}

/** What the Worker says of a drain that ends with the service. */
interface Drained {
  /** Clients whose stream was ended. */
  readonly closed: number;
  /** Clients that have not taken their last bytes. */
  readonly lingering: number;
  readonly channels: number;
}

/** The Worker takes 2.5 s at most; with the grace of the runtime everything is over within 5 s. */
const DRAIN_MS = 3000;

/** Says goodbye to every client of every channel, then ends the runtime, by force if it must be. */
export async function shutDown({ signal, runtime, url, token }: ShutDownOptions): Promise<void> {
  const start = performance.now();
  try {
    const { closed, lingering, channels } = await drain(url, token);
    log("info", "shutdown", { signal, closed, lingering, channels });
  } catch (error) {
    log("error", "shutdown_without_drain", { signal, reason: (error as Error).message });
  }
  const forced = await runtime.stop();
  log("info", "shutdown_complete", { forced, duration_ms: Math.round(performance.now() - start) });
}

async function drain(url: string, token: string): Promise<Drained> {
  const response = await fetch(`${url}/api/admin/shutdown`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(DRAIN_MS),
  });
  if (!response.ok) {
    throw new Error(`the service answered ${response.status}`);
  }
  return (await response.json()) as Drained;
}
