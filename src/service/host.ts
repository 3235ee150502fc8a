import type { Config } from "../config/schema.ts";
import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { Clock } from "../hub/clock.ts";
import type { HubError } from "../hub/errors.ts";
import type { FilterTerms } from "../hub/filter.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { Logger } from "../hub/logger.ts";
import type { ChannelCounts, ClientList, ClientPage, Ended, HubHealth } from "../hub/views.ts";
import type { Principal } from "./access/principal.ts";

/**
 * The host that the service runs on, as its ports. A port refuses by throwing a `HubError`. Any other error is a failure,
 * which `refusalOf` maps to a refusal.
 */
export interface Host {
  readonly config: Config;
  readonly secrets: Secrets;
  readonly hubs: Hubs;
  readonly directory: DirectoryPort;
  readonly tickets: TicketsPort;
  readonly logger: Logger;
  readonly clock: Clock;
  /** The platform's own count of requests by address. Without it, only the service counts. */
  readonly rate?: RateLimiter | undefined;
  /** The token by which a local launcher shuts the service down. Without it, the route for that does not exist. */
  readonly launcherToken?: string | undefined;
  /** The host that the service listens on. Without it, the platform decides which host names reach the service. */
  readonly listenHost?: string | undefined;
  /** Answers a file of `public/`, or 404. */
  asset(request: Request): Promise<Response>;
  /** The IP address of the peer as text; null if it is unknown. */
  peerOf(request: Request): string | null;
  /** The part of the world that a request comes from. The clients of a region share relays. */
  regionOf(request: Request): string;
  /** Keeps a promise running after the request that started it was answered or cancelled. */
  keepAlive(promise: Promise<unknown>): void;
  /** Maps a failure of the platform, such as an overloaded object, to a refusal; null if the failure is a bug. */
  refusalOf(failure: unknown): HubError | null;
}

/** Each secret holds one token, or several separated by commas. A missing or empty secret closes the routes it guards. */
export interface Secrets {
  readonly PUBLISH_TOKEN?: string;
  readonly SUBSCRIBE_TOKEN?: string;
  readonly ADMIN_TOKEN?: string;
  readonly METRICS_TOKEN?: string;
  /** The key that signs HS256 tokens: at least 32 bytes. */
  readonly JWT_SECRET?: string;
}

/** The hubs, by the names of their channels. */
export interface Hubs {
  /** Reaches the hub of a channel. Creates it at its first use. */
  of(channel: string): HubPort;
}

/** The part of a hub that an unused channel has too. None of its methods creates a channel. */
export interface ChannelReader {
  /** @throws HubError as `Hub.history` */
  history(request: HistoryRequest): Promise<HistoryPage>;
  health(): Promise<HubHealth>;
  /** Finds the clients that have left without the runtime noticing, so that they are no longer counted. */
  findDead(): Promise<void>;
  counters(): Promise<ChannelCounts>;
  clients(page: ClientPage): Promise<ClientList>;
  /** Resolves to false if there is no such client. */
  kick(clientId: string): Promise<boolean>;
}

/** The hub of one channel. */
export interface HubPort extends ChannelReader {
  /**
   * Opens a stream and answers it as a response.
   *
   * @param region of the client, as `Host.regionOf` tells it
   * @throws HubError as `Hub.connect`
   */
  connect(request: ConnectRequest, region: string): Promise<Response>;
  /** @throws HubError as `Hub.publish`, and as `DirectoryPort.enter` */
  publish(events: readonly NewEvent[], publisher: string | null, grant: FilterTerms): Promise<Receipt[]>;
  /** @param epoch the directory's epoch of this drain; null if the directory cannot be reached */
  drain(until: number, epoch: number | null): Promise<Ended>;
  /** @param epoch the directory's epoch that ends all earlier drains; null if the directory cannot be reached */
  resume(epoch: number | null): Promise<void>;
  stop(): Promise<Ended>;
  /** Waits a short time for the peers to read the end of their streams. Resolves to the number that has not. */
  settled(): Promise<number>;
}

/** The user of a channel. A new channel is counted against the limits of its entrant. */
export interface Entrant {
  readonly role: "client" | "publisher";
  /** The address of a client or the token of a publisher; null if it is not limited. */
  readonly key: string | null;
}

/** The facts that the directory knows about a channel without asking its hub. */
export interface Knowledge {
  /** Rises with every drain and resume. A hub ignores an order with an older epoch than the one it knows. */
  readonly epoch: number;
  /** When the drain of the channel ends, in ms since the epoch; null if it is not draining. */
  readonly drainUntil: number | null;
  /** Whether the channel has been used, and so has a hub. */
  readonly isKnown: boolean;
}

/** The directory of all channels. Lists come page by page in the order of the names; `after` is the last name seen. */
export interface DirectoryPort {
  look(channel: string): Promise<Knowledge>;
  /** @throws HubError `too_many_channels`, `channels_full`, `draining` or `shutting_down` for a new channel */
  enter(channel: string, entrant: Entrant): Promise<void>;
  /** The channels that have clients. */
  occupied(after?: string): Promise<readonly string[]>;
  /** The most active channels, and how many channels there are. */
  active(limit: number): Promise<{ readonly channels: readonly string[]; readonly total: number }>;
  /** Drains all channels. Resolves to the epoch of this drain. */
  drainAll(until: number): Promise<number>;
  /** Ends all drains. Resolves to the epoch that ends them. */
  resumeAll(): Promise<number>;
  /** The channels whose hubs have been told of a drain. */
  drained(after?: string): Promise<readonly string[]>;
  /** Notes that the hub of a channel knows of the end of all drains before an epoch. */
  resumed(channel: string, epoch: number): Promise<void>;
  drain(channel: string, until: number): Promise<Knowledge>;
  resume(channel: string): Promise<Knowledge>;
  /** Notes that the service is shutting down. Resolves to the channels that have clients. */
  stop(): Promise<readonly string[]>;
}

/** The unused tickets. A host must store them as digests, so that a stolen copy of its storage contains no usable ticket. */
export interface TicketsPort {
  /** Keeps a ticket until it is used or expires. Resolves to false if too many tickets are unused already. */
  keep(ticket: string, principal: Principal, expiresAt: number, address: string | null): Promise<boolean>;
  /** Uses a ticket up. Resolves to null if there is no such ticket, or it has expired. */
  take(ticket: string): Promise<Principal | null>;
}

/** A count of requests that the platform keeps. */
export interface RateLimiter {
  limit(use: { readonly key: string }): Promise<{ readonly success: boolean }>;
}
