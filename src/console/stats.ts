import { byId, setText } from "./dom.ts";
import { formatCount, formatMs } from "./format.ts";
import type { Health } from "./service.ts";

/** The fastest of this many round trips is shown. */
const ROUND_TRIPS = 30;

/** The row of numbers at the top. */
export class Stats {
  readonly #status = byId("health-status", HTMLElement);
  readonly #statusDetail = byId("health-detail", HTMLElement);
  readonly #clients = byId("clients-count", HTMLElement);
  readonly #meter = byId("clients-meter", HTMLMeterElement);
  readonly #rate = byId("event-rate", HTMLElement);
  readonly #rateDetail = byId("event-rate-detail", HTMLElement);
  readonly #head = byId("head-id", HTMLElement);
  readonly #headDetail = byId("head-detail", HTMLElement);
  readonly #latency = byId("latency", HTMLElement);
  readonly #latencyDetail = byId("latency-detail", HTMLElement);
  readonly #version = byId("version", HTMLElement);
  #roundTrips: number[] = [];
  #oldest: number | null | undefined;

  showHealth(health: Health): void {
    const { status, reasons, activeConnections, maxConnections, oldestEventId } = health;
    this.#status.dataset["status"] = status;
    setText(this.#status, status);
    setText(this.#statusDetail, reasons.join(", ").replaceAll("_", " ") || "no problems");
    this.#showClients(activeConnections, maxConnections);
    this.#oldest = oldestEventId;
    setText(this.#version, `edge-sse ${health.version}`);
    this.#showRoundTrip(health.roundTripMs);
  }

  /** @param status the reason why there are no numbers */
  showNothing(status: "unreachable" | "refused"): void {
    this.#status.dataset["status"] = status;
    setText(this.#status, status);
    setText(this.#statusDetail, status === "refused" ? "see the message above" : "no answer");
    setText(this.#clients, "–");
    this.#meter.value = 0;
    setText(this.#latency, "–");
  }

  showTraffic(rate: number | null, perMinute: number, head: number | undefined): void {
    setText(this.#rate, rate === null ? "–" : formatCount(rate));
    setText(this.#rateDetail, `${formatCount(perMinute)} in the last minute`);
    setText(this.#head, head === undefined ? "–" : formatCount(head));
    const kept = head === undefined || !this.#oldest ? 0 : head - this.#oldest + 1;
    const isTold = head !== undefined && this.#oldest !== undefined;
    setText(this.#headDetail, isTold ? `${formatCount(kept)} stored` : "");
  }

  /** Hides the meter if the service hides the numbers. */
  #showClients(active: number | null, most: number | null): void {
    this.#meter.hidden = most === null;
    setText(this.#clients, most === null ? "–" : `${active ?? "–"} / ${formatCount(most)}`);
    if (most !== null) {
      this.#meter.max = most;
      this.#meter.high = most * 0.8;
      this.#meter.value = active ?? 0;
    }
  }

  #showRoundTrip(ms: number): void {
    this.#roundTrips = [...this.#roundTrips, ms].slice(-ROUND_TRIPS);
    setText(this.#latency, formatMs(ms));
    setText(this.#latencyDetail, `fastest ${formatMs(Math.min(...this.#roundTrips))}`);
  }
}
