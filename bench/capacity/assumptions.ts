/** A part of the world, as the model sees it. Nobody has measured these numbers. */
export interface Region {
  readonly name: string;
  /** Part of all clients. */
  readonly share: number;
  /** One way from the hub to the relays of this region, in ms. */
  readonly fromHubMs: number;
}

/** The hub and its publishers are in Europe. */
export const REGIONS: readonly Region[] = [
  { name: "europe", share: 0.3, fromHubMs: 10 },
  { name: "north-america", share: 0.3, fromHubMs: 45 },
  { name: "asia", share: 0.25, fromHubMs: 90 },
  { name: "south-america", share: 0.07, fromHubMs: 95 },
  { name: "africa", share: 0.04, fromHubMs: 75 },
  { name: "oceania", share: 0.04, fromHubMs: 135 },
];

/** Delays of the network and of the platform, one way, in ms. */
export const DELAYS = {
  publisherToHubMs: 10,
  /** Until the storage of the platform has stored a publish in more than one place. */
  commitMs: 10,
  /** Between two relays of one region. */
  withinRegionMs: 5,
  /** From a relay to a client: at least this, and on average as much again. */
  lastMileMs: 10,
} as const;

/** How a service is used. */
export interface Load {
  readonly clients: number;
  /** Events a second in the channel, at random times. */
  readonly eventsPerSecond: number;
  readonly eventsPerPublish: number;
  /** `limits.clients_per_object`. */
  readonly clientsPerObject: number;
  /** `limits.max_stream_age_seconds`; 0 for no limit. */
  readonly streamAgeSeconds: number;
  /** Hours of each day without a client and without an event. */
  readonly quietHours: number;
  /** How often something asks for the metrics or the health of the channel, in seconds. */
  readonly scrapeSeconds: number;
  /** Whether a relay writes to the relays that it feeds before it writes to its clients. The service does not. */
  readonly feedsFirst: boolean;
}

export const BASE: Load = {
  clients: 100_000,
  eventsPerSecond: 10,
  eventsPerPublish: 1,
  clientsPerObject: 1_000,
  streamAgeSeconds: 1_800,
  quietHours: 0,
  scrapeSeconds: 60,
  feedsFirst: false,
};

/** An event of the benchmark in the database, with its entry in the index. */
export const EVENT_BYTES = 400;

/** The history keeps at most this many events: the default of `history.max_events`. */
export const HISTORY_EVENTS = 100_000;
