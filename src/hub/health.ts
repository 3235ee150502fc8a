import type { Audience } from "./audience/audience.ts";
import type { Closing } from "./closing.ts";
import type { HubSettings } from "./hub-settings.ts";
import type { Ledger } from "./log/ledger.ts";
import type { HubHealth } from "./views.ts";

/** The state of a channel, as its hub sees it. */
export function healthOf(
  settings: HubSettings,
  ledger: Ledger,
  audience: Audience,
  closing: Closing,
): HubHealth {
  const [head, oldest] = [ledger.view.head(), ledger.view.oldest()];
  const reasons = [
    ...(ledger.hasFailed ? ["storage_failed"] : []),
    ...(audience.fullBecause(null) === null ? [] : ["limit_reached"]),
  ];
  const working = reasons.length > 0 ? "degraded" : "healthy";
  return {
    status: closing.reason === null ? working : "draining",
    reasons,
    drainUntil: closing.drainUntil,
    activeConnections: audience.size,
    lingeringConnections: audience.lingering,
    maxConnections: settings.maxConnections,
    lastEventId: head,
    oldestEventId: oldest > head ? null : oldest,
  };
}
