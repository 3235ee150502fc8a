import { log } from "./log.ts";
import type { Runtime } from "./runtime.ts";

export interface ShutDownOptions {
  readonly signal: NodeJS.Signals;
  readonly runtime: Runtime;
  readonly url: string;
  readonly token: string;
}

/** The Worker's answer to a shutdown. */
interface Drained {
  /** Clients whose streams were ended. */
  readonly closed: number;
  /** Clients that have not accepted their last bytes. */
  readonly lingering: number;
  readonly channels: number;
}

/**
 * How long to wait for the Worker, which takes at most 2.5 s. With the runtime's own grace period, a stop takes less
 * than 5 s.
 */
const DRAIN_MS = 3000;

/** Ends every stream of every channel with `close`, then ends the runtime, by force if necessary. */
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
