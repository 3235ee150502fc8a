import type { Config } from "../config/schema.ts";
import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { Clock } from "../hub/clock.ts";
import type { Counters } from "../hub/counters.ts";
import type { HubError } from "../hub/errors.ts";
import type { FilterTerms } from "../hub/filter.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { Logger } from "../hub/logger.ts";
import type { ClientView, Ended, HubHealth } from "../hub/views.ts";
import type { Principal } from "./access/principal.ts";

/**
 * What the service needs from the place where it runs. A port throws a `HubError` for what it refuses; any other error
 * means that something broke, and `refusalOf` says what it means to a client.
 */
export interface Host {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly hubs: Hubs;
  readonly directory: DirectoryPort;
  readonly tickets: TicketsPort;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The platform's own count of requests by address. Absent: only the service counts. */
  readonly rate?: RateLimiter | undefined;
  /** Lets the local launcher stop the service. Absent: the route does not exist. */
  readonly launcherToken?: string | undefined;
  /** The host that the service listens on. Absent: the platform decides which host names reach the service. */
  readonly listenHost?: string | undefined;
  /** A file of `public/`; 404 if there is none. */
  asset(request: Request): Promise<Response>;
  /** The IP address of the peer as text; null if it is not known. */
  peerOf(request: Request): string | null;
  /** Keeps a promise running after the request that started it was answered or cancelled. */
  keepAlive(promise: Promise<unknown>): void;
  /** What a failure of the platform, such as an overloaded object, means to a client; null: it is a bug. */
  refusalOf(failure: unknown): HubError | null;
}

/** One token each, or several between commas. A missing or empty one closes the routes that it guards. */
export interface Secrets {
  readonly PUBLISH_TOKEN?: string;
  readonly SUBSCRIBE_TOKEN?: string;
  readonly ADMIN_TOKEN?: string;
  readonly METRICS_TOKEN?: string;
  /** What HS256 tokens are signed with: at least 32 bytes. */
  readonly JWT_SECRET?: string;
}

/** The hubs, by the names of their channels. */
export interface Hubs {
  /** Reaches the hub of a channel. Creates it at its first use. */
  of(channel: string): HubPort;
}

/** What can be read of a channel without changing it. */
export interface ChannelReader {
  /** @throws HubError as `Hub.history` */
  history(request: HistoryRequest): Promise<HistoryPage>;
  health(): Promise<HubHealth>;
  /** Finds the clients that have left without the runtime's notice, so that they are no longer counted. */
  findDead(): Promise<void>;
  counters(): Promise<{ counters: Counters; health: HubHealth }>;
  clients(): Promise<ClientView[]>;
  /** False: there is no such client. */
  kick(clientId: string): Promise<boolean>;
}

/** The hub of one channel. */
export interface HubPort extends ChannelReader {
  /**
   * Opens a stream and answers it as a response.
   *
   * @throws HubError as `Hub.connect`
   */
  connect(request: ConnectRequest): Promise<Response>;
  /** @throws HubError as `Hub.publish`, and as `DirectoryPort.enter` */
  publish(events: readonly NewEvent[], publisher: string | null, grant: FilterTerms): Promise<Receipt[]>;
  /** @param epoch of the directory with which this drain begins; null: the directory cannot be reached. */
  drain(until: number, epoch: number | null): Promise<Ended>;
  /** @param epoch of the directory with which all earlier drains end; null: the directory cannot be reached. */
  resume(epoch: number | null): Promise<void>;
  stop(): Promise<Ended>;
  /** Waits for the peers of a stop. Resolves to how many streams linger. */
  settled(): Promise<number>;
}

/** Who uses a channel. A new channel is counted under its entrant. */
export interface Entrant {
  readonly role: "client" | "publisher";
  /** The address of a client, the token of a publisher; null: not limited. */
  readonly key: string | null;
}

/** What the directory knows of a channel without its hub. */
export interface Knowledge {
  /** Rises with every drain and resume: a hub ignores what is older than what it knows. */
  readonly epoch: number;
  /** Until when the channel is drained; null: it is not. */
  readonly drainUntil: number | null;
  /** Somebody has used the channel: it has a hub. */
  readonly isKnown: boolean;
}

/** The directory of all channels. Lists are in the order of the names, page by page: `after` is the last name seen. */
export interface DirectoryPort {
  look(channel: string): Promise<Knowledge>;
  /** @throws HubError `too_many_channels`, `channels_full`, `draining` or `shutting_down` for a new channel */
  enter(channel: string, entrant: Entrant): Promise<void>;
  /** The channels that have clients. */
  occupied(after?: string): Promise<readonly string[]>;
  /** The most active channels, and how many channels there are. */
  active(limit: number): Promise<{ readonly channels: readonly string[]; readonly total: number }>;
  /** Drains all channels. Resolves to the epoch of the drain. */
  drainAll(until: number): Promise<number>;
  /** Ends all drains. Resolves to the epoch of the end. */
  resumeAll(): Promise<number>;
  /** The channels whose hubs were told of a drain. */
  drained(after?: string): Promise<readonly string[]>;
  /** The hub of a channel was told that all drains before an epoch are over. */
  resumed(channel: string, epoch: number): Promise<void>;
  drain(channel: string, until: number): Promise<Knowledge>;
  resume(channel: string): Promise<Knowledge>;
  /** The service is shutting down. Resolves to the channels that have clients. */
  stop(): Promise<readonly string[]>;
}

/** The tickets that wait to be used. They must be kept as digests, so that a reader of the storage cannot use them. */
export interface TicketsPort {
  /** Keeps a ticket until it is used or expires. False: too many tickets wait already. */
  keep(ticket: string, principal: Principal, expiresAt: number, address: string | null): Promise<boolean>;
  /** Takes a ticket: it works once. Null: there is no such ticket, or it has expired. */
  take(ticket: string): Promise<Principal | null>;
}

/** A count of requests that the platform keeps. */
export interface RateLimiter {
  limit(use: { readonly key: string }): Promise<{ readonly success: boolean }>;
}
