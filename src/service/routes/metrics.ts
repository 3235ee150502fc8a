import type { IRequest } from "itty-router";
import { LATENCY_BOUNDS_SECONDS, type Counters } from "../../hub/counters.ts";
import type { RefusalCode } from "../../hub/errors.ts";
import type { HubHealth } from "../../hub/views.ts";
import { authorize } from "../access/authorize.ts";
import { together } from "../all-channels.ts";
import { readerOf } from "../channel-reader.ts";
import type { ChannelReader } from "../host.ts";
import { requireAllowed } from "../request/channel-name.ts";
import { Query } from "../request/query.ts";
import { problemCodeOf } from "../response/problem.ts";
import type { Service } from "../service.ts";

/** How many channels one scrape covers. Each wakes an object, so the most active ones are chosen; `?channel=` reads others. */
const SCRAPED_CHANNELS = 100;

interface ChannelState {
  readonly channel: string;
  readonly counters: Counters;
  readonly health: HubHealth;
}

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** One sample for each line. */
  samples(state: ChannelState): readonly Sample[];
}

/** The labels beside `channel`, the value, and what follows the name of the metric. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number, suffix?: string];

/** `GET /metrics`: Prometheus text, format 0.0.4. Counters start at 0 whenever a hub wakes. */
export async function readMetrics(request: IRequest, service: Service): Promise<Response> {
  await authorize(request, service, "metrics");
  const parameters = new URL(request.url).searchParams;
  const query = new Query(parameters, ["channel"]);
  const asked = parameters.has("channel") ? query.channel() : null;
  query.finish();
  if (asked !== null) {
    requireAllowed(asked, service.host.config.channels.allowed);
  }
  const text =
    asked === null ? await service.metrics.read(() => scrapeAll(service)) : await scrapeOne(service, asked);
  const headers = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" };
  return new Response(text, { headers });
}

async function scrapeOne(service: Service, channel: string): Promise<string> {
  return exposeAll([await stateOf(await readerOf(service, channel), channel)]);
}

/** Continues if the peer leaves, because other requests may wait for the text. */
function scrapeAll(service: Service): Promise<string> {
  const text = scrapeActive(service);
  service.host.keepAlive(text.catch(() => {}));
  return text;
}

async function scrapeActive(service: Service): Promise<string> {
  const { channels, total } = await service.host.directory.active(SCRAPED_CHANNELS);
  const states = await together(service.host, channels, stateOf);
  return (
    exposeAll(states) +
    exposeNumber("edge_sse_channels", "Channels that have been used.", total) +
    exposeNumber(
      "edge_sse_channels_not_shown",
      "Channels left out here: all but the most active ones, and those whose hub cannot be reached.",
      total - states.length,
    )
  );
}

async function stateOf(hub: Pick<ChannelReader, "counters">, channel: string): Promise<ChannelState> {
  return { channel, ...(await hub.counters()) };
}

function counter(name: string, help: string, value: (counters: Counters) => number): Metric {
  return { name, type: "counter", help, samples: ({ counters }) => [[{}, value(counters)]] };
}

function gauge(name: string, help: string, value: (health: HubHealth) => number): Metric {
  return { name, type: "gauge", help, samples: ({ health }) => [[{}, value(health)]] };
}

function labelled(
  name: string,
  help: string,
  label: string,
  counts: (counters: Counters) => Readonly<Record<string, number>>,
): Metric {
  return {
    name,
    type: "counter",
    help,
    samples: ({ counters }) =>
      Object.entries(counts(counters)).map(([key, value]) => [{ [label]: key }, value]),
  };
}

/** Counts by the codes that clients see. */
function byProblem(counts: Partial<Record<RefusalCode, number>>): Readonly<Record<string, number>> {
  const entries = Object.entries(counts) as [RefusalCode, number][];
  return Object.fromEntries(entries.map(([code, value]) => [problemCodeOf(code), value]));
}

const METRICS: readonly Metric[] = [
  gauge("edge_sse_connections", "Registered clients.", (health) => health.activeConnections),
  gauge("edge_sse_connections_max", "Limit of clients of the channel.", (health) => health.maxConnections),
  gauge(
    "edge_sse_connections_lingering",
    "Ended streams whose peers have not taken the end.",
    (health) => health.lingeringConnections,
  ),
  gauge("edge_sse_last_event_id", "Id of the last durable event.", (health) => health.lastEventId),
  gauge("edge_sse_draining", "1 while the channel refuses streams, else 0.", (health) =>
    Number(health.status === "draining"),
  ),
  counter("edge_sse_connects_total", "Clients that were registered.", (counters) => counters.connects),
  counter(
    "edge_sse_reconnects_total",
    "Registered clients that came back with an id.",
    (counters) => counters.reconnects,
  ),
  labelled(
    "edge_sse_disconnects_total",
    "Clients that left the registry, by reason.",
    "reason",
    (counters) => counters.disconnects,
  ),
  labelled("edge_sse_rejections_total", "Refused connects, by code.", "code", (counters) =>
    byProblem(counters.rejections),
  ),
  labelled(
    "edge_sse_publish_rejections_total",
    "Publishes refused because of their number, by code.",
    "code",
    (counters) => byProblem(counters.publishRejections),
  ),
  labelled(
    "edge_sse_history_rejections_total",
    "Refused requests for history, by code.",
    "code",
    (counters) => byProblem(counters.historyRejections),
  ),
  counter("edge_sse_events_total", "Stored events.", (counters) => counters.published),
  counter(
    "edge_sse_duplicates_total",
    "Events that were not stored because their key was known.",
    (counters) => counters.duplicates,
  ),
  counter(
    "edge_sse_events_trimmed_total",
    "Events trimmed from the history.",
    (counters) => counters.trimmed,
  ),
  counter("edge_sse_deliveries_total", "Events taken by clients.", (counters) => counters.deliveries),
  counter("edge_sse_writes_total", "Writes that carried those events.", (counters) => counters.pages),
  counter(
    "edge_sse_sweeps_total",
    "Sweeps that wrote to at least one client.",
    (counters) => counters.sweeps,
  ),
  counter("edge_sse_heartbeats_total", "Heartbeats sent.", (counters) => counters.heartbeats),
  counter("edge_sse_gaps_total", "Gaps reported to clients.", (counters) => counters.gaps),
  counter("edge_sse_read_failures_total", "Failed reads of the log.", (counters) => counters.readFailures),
  {
    name: "edge_sse_delivery_latency_seconds",
    type: "histogram",
    help: "Time from storing the first event of a write until a client has taken the write.",
    samples: ({ counters: { latency } }) => {
      let below = 0;
      const buckets = LATENCY_BOUNDS_SECONDS.map((bound, index): Sample => {
        below += latency.buckets[index] ?? 0;
        return [{ le: String(bound) }, below, "_bucket"];
      });
      return [
        ...buckets,
        [{ le: "+Inf" }, latency.count, "_bucket"],
        [{}, latency.sumSeconds, "_sum"],
        [{}, latency.count, "_count"],
      ];
    },
  },
];

function exposeAll(states: readonly ChannelState[]): string {
  return METRICS.map((metric) => expose(metric, states)).join("");
}

/** A gauge without a channel, for the service as a whole. */
function exposeNumber(name: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
}

function expose(metric: Metric, states: readonly ChannelState[]): string {
  const lines = states.flatMap((state) =>
    metric.samples(state).map(([labels, value, suffix = ""]) => {
      const all = Object.entries({ channel: state.channel, ...labels }).map(
        ([key, text]) => `${key}="${text}"`,
      );
      return `${metric.name}${suffix}{${all.join(",")}} ${value}\n`;
    }),
  );
  return `# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n${lines.join("")}`;
}
