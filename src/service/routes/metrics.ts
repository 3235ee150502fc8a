import type { IRequest } from "itty-router";
import { LATENCY_BOUNDS_SECONDS, type Counters } from "../../hub/counters.ts";
import type { RefusalCode } from "../../hub/errors.ts";
import type { ChannelCounts, HubHealth, RelayCounts } from "../../hub/views.ts";
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

/** How many relays one scrape covers, over all its channels. */
const SCRAPED_RELAYS = 500;

interface ChannelState extends ChannelCounts {
  readonly channel: string;
}

interface Metric {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** What is described: a channel, those who hold its clients (its hub, or its relays), or its relays. */
  readonly of: "channel" | "holders" | "relays";
  /** One sample for each line. */
  samples(state: Described): readonly Sample[];
}

/** What a sample describes. A hub that has relays is described by them where it comes to clients. */
type Described = Pick<ChannelState, "counters" | "health"> & { readonly relay?: RelayCounts };

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
  return exposeAll([await stateOf(await readerOf(service, channel), channel)]).text;
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
  const { text, relaysNotShown } = exposeAll(states);
  return (
    text +
    exposeNumber("edge_sse_channels", "Channels that have been used.", total) +
    exposeNumber(
      "edge_sse_channels_not_shown",
      "Channels left out here: all but the most active ones, and those whose hub cannot be reached.",
      total - states.length,
    ) +
    exposeNumber(
      "edge_sse_relays_not_shown",
      "Relays left out here, because there are too many.",
      relaysNotShown,
    )
  );
}

async function stateOf(hub: Pick<ChannelReader, "counters">, channel: string): Promise<ChannelState> {
  return { channel, ...(await hub.counters()) };
}

function counter(
  of: Metric["of"],
  name: string,
  help: string,
  value: (counters: Counters) => number,
): Metric {
  return { name, type: "counter", help, of, samples: ({ counters }) => [[{}, value(counters)]] };
}

function gauge(name: string, help: string, value: (health: HubHealth) => number): Metric {
  return { name, type: "gauge", help, of: "channel", samples: ({ health }) => [[{}, value(health)]] };
}

function relayGauge(name: string, help: string, value: (relay: RelayCounts) => number): Metric {
  const samples = ({ relay }: Described): Sample[] => (relay === undefined ? [] : [[{}, value(relay)]]);
  return { name, type: "gauge", help, of: "relays", samples };
}

function labelled(
  of: Metric["of"],
  name: string,
  help: string,
  label: string,
  counts: (counters: Counters) => Readonly<Record<string, number>>,
): Metric {
  return {
    name,
    type: "counter",
    help,
    of,
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
  relayGauge(
    "edge_sse_relay_connections",
    "Registered clients of a relay.",
    (relay) => relay.activeConnections,
  ),
  relayGauge(
    "edge_sse_relay_connections_lingering",
    "Ended streams of a relay whose peers have not taken the end.",
    (relay) => relay.lingeringConnections,
  ),
  relayGauge(
    "edge_sse_relay_events_behind",
    "Events by which a relay lags behind its hub.",
    (relay) => relay.eventsBehind,
  ),
  counter(
    "holders",
    "edge_sse_connects_total",
    "Clients that were registered.",
    (counters) => counters.connects,
  ),
  counter(
    "holders",
    "edge_sse_reconnects_total",
    "Registered clients that came back with an id.",
    (counters) => counters.reconnects,
  ),
  labelled(
    "holders",
    "edge_sse_disconnects_total",
    "Clients that left the registry, by reason.",
    "reason",
    (counters) => counters.disconnects,
  ),
  labelled("holders", "edge_sse_rejections_total", "Refused connects, by code.", "code", (counters) =>
    byProblem(counters.rejections),
  ),
  labelled(
    "channel",
    "edge_sse_publish_rejections_total",
    "Publishes refused because of their number, by code.",
    "code",
    (counters) => byProblem(counters.publishRejections),
  ),
  labelled(
    "channel",
    "edge_sse_history_rejections_total",
    "Refused requests for history, by code.",
    "code",
    (counters) => byProblem(counters.historyRejections),
  ),
  counter("channel", "edge_sse_events_total", "Stored events.", (counters) => counters.published),
  counter(
    "channel",
    "edge_sse_duplicates_total",
    "Events that were not stored because their key was known.",
    (counters) => counters.duplicates,
  ),
  counter(
    "channel",
    "edge_sse_events_trimmed_total",
    "Events trimmed from the history.",
    (counters) => counters.trimmed,
  ),
  counter(
    "holders",
    "edge_sse_deliveries_total",
    "Events taken by clients.",
    (counters) => counters.deliveries,
  ),
  counter(
    "holders",
    "edge_sse_writes_total",
    "Writes that carried those events.",
    (counters) => counters.pages,
  ),
  counter(
    "holders",
    "edge_sse_sweeps_total",
    "Sweeps that wrote to at least one client.",
    (counters) => counters.sweeps,
  ),
  counter("holders", "edge_sse_heartbeats_total", "Heartbeats sent.", (counters) => counters.heartbeats),
  counter("holders", "edge_sse_gaps_total", "Gaps reported to clients.", (counters) => counters.gaps),
  counter(
    "holders",
    "edge_sse_read_failures_total",
    "Failed reads of the log.",
    (counters) => counters.readFailures,
  ),
  {
    name: "edge_sse_delivery_latency_seconds",
    type: "histogram",
    of: "holders",
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

function exposeAll(states: readonly ChannelState[]): { text: string; relaysNotShown: number } {
  let places = SCRAPED_RELAYS;
  let relaysNotShown = 0;
  const shown = states.map((state) => {
    const relays = state.relays.slice(0, places);
    places -= relays.length;
    relaysNotShown += state.relays.length - relays.length;
    return { ...state, relays };
  });
  return { text: METRICS.map((metric) => expose(metric, shown)).join(""), relaysNotShown };
}

/** What a metric describes of a channel, with the labels of each. */
function describedBy({ of }: Metric, state: ChannelState): [Readonly<Record<string, string>>, Described][] {
  const { channel, health, relays } = state;
  if (of === "channel" || (of === "holders" && health.relays === undefined)) {
    return [[{ channel }, state]];
  }
  return relays.map((relay) => [
    { channel, relay: relay.relay, region: relay.region },
    { counters: relay.counters, health, relay },
  ]);
}

/** A gauge without a channel, for the service as a whole. */
function exposeNumber(name: string, help: string, value: number): string {
  return `# HELP ${name} ${help}\n# TYPE ${name} gauge\n${name} ${value}\n`;
}

function expose(metric: Metric, states: readonly ChannelState[]): string {
  const described = states.flatMap((state) => describedBy(metric, state));
  const lines = described.flatMap(([names, one]) =>
    metric.samples(one).map(([labels, value, suffix = ""]) => {
      const all = Object.entries({ ...names, ...labels }).map(([key, text]) => `${key}="${text}"`);
      return `${metric.name}${suffix}{${all.join(",")}} ${value}\n`;
    }),
  );
  if (lines.length === 0 && metric.of === "relays") {
    return "";
  }
  return `# HELP ${metric.name} ${metric.help}\n# TYPE ${metric.name} ${metric.type}\n${lines.join("")}`;
}
