import type { ConnectRequest } from "../hub/audience/audience.ts";
import type { FilterTerms } from "../hub/filter.ts";
import type { NewEvent, Receipt } from "../hub/log/event-log.ts";
import type { HistoryPage } from "../hub/log/history.ts";
import type { HistoryRequest } from "../hub/log/ledger.ts";
import type { ChannelCounts, ClientList, ClientPage, ClientView, Ended, HubHealth } from "../hub/views.ts";
import type { RelayReport } from "../relay/relay-port.ts";
import type { Lease, LeaseRequest, Recalled } from "../relay/seat-lease.ts";
import type { Principal } from "../service/access/principal.ts";
import type { Entrant, Knowledge } from "../service/host.ts";
import type { Forgotten } from "../sql/channel-table.ts";
import type { Standing } from "../sql/directory.ts";
import { unwrap, type Answer } from "../service/answer.ts";

/** The methods of the objects over RPC. Each returns an `Answer`, because RPC does not carry our error classes. */

/** The hub of a channel. `fetch` opens a stream, with a `streamRequest`. */
export interface HubRpc extends Rpc.DurableObjectBranded {
  fetch(request: Request): Promise<Response>;
  publish(
    events: readonly NewEvent[],
    publisher: string | null,
    grant: FilterTerms,
  ): Promise<Answer<Receipt[]>>;
  history(request: HistoryRequest): Promise<Answer<HistoryPage>>;
  health(): Promise<Answer<HubHealth>>;
  findDead(): Promise<Answer<void>>;
  counters(): Promise<Answer<ChannelCounts>>;
  clients(page: ClientPage): Promise<Answer<ClientList>>;
  kick(clientId: string): Promise<Answer<boolean>>;
  drain(until: number, epoch: number | null): Promise<Answer<Ended>>;
  resume(epoch: number | null): Promise<Answer<void>>;
  stop(): Promise<Answer<Ended>>;
  settled(): Promise<Answer<number>>;
  forget(): Promise<Answer<Forgotten>>;
  lease(request: LeaseRequest): Promise<Answer<Lease>>;
}

/** A relay of a channel. `fetch` opens a stream, with a `streamRequest`. */
export interface RelayRpc extends Rpc.DurableObjectBranded {
  fetch(request: Request): Promise<Response>;
  report(): Promise<Answer<RelayReport>>;
  clients(page: ClientPage): Promise<Answer<ClientView[]>>;
  kick(clientId: string): Promise<Answer<boolean>>;
  findDead(): Promise<Answer<void>>;
  end(reason: "drain" | "shutdown"): Promise<Answer<Ended>>;
  settled(): Promise<Answer<number>>;
  recall(version: number): Promise<Answer<Recalled>>;
}

/** The one directory of all channels. */
export interface DirectoryRpc extends Rpc.DurableObjectBranded {
  look(channel: string): Promise<Answer<Knowledge>>;
  enter(channel: string, entrant: Entrant): Promise<Answer<Standing>>;
  occupy(channel: string, address: string | null): Promise<Answer<Standing>>;
  vacate(channel: string): Promise<Answer<void>>;
  occupied(after?: string, limit?: number): Promise<Answer<string[]>>;
  active(limit: number): Promise<Answer<{ channels: string[]; total: number }>>;
  drainAll(until: number): Promise<Answer<number>>;
  resumeAll(): Promise<Answer<number>>;
  drained(after?: string, limit?: number): Promise<Answer<string[]>>;
  resumed(channel: string, epoch: number): Promise<Answer<void>>;
  drain(channel: string, until: number): Promise<Answer<Knowledge>>;
  resume(channel: string): Promise<Answer<Knowledge>>;
  stop(): Promise<Answer<string[]>>;
}

/** One sixteenth of the unused tickets. */
export interface TicketsRpc extends Rpc.DurableObjectBranded {
  keep(
    digest: string,
    principal: Principal,
    expiresAt: number,
    address: string | null,
  ): Promise<Answer<boolean>>;
  take(digest: string): Promise<Answer<Principal | null>>;
}

/** Carries a `ConnectRequest` to a hub, as percent-encoded JSON. */
const STREAM_REQUEST_HEADER = "Stream-Request";

/** The request that opens a stream at a hub. A stream crosses from the object to the Worker only as a response. */
export function streamRequest(request: ConnectRequest): Request {
  const header = encodeURIComponent(JSON.stringify(request));
  return new Request("https://hub/", { headers: { [STREAM_REQUEST_HEADER]: header } });
}

/**
 * Opens a stream at a hub or a relay.
 *
 * @throws HubError what the object refuses
 */
export async function openStream(
  source: { fetch(request: Request, init?: RequestInit): Promise<Response> },
  request: Request,
  signal?: AbortSignal,
): Promise<Response> {
  const response = await source.fetch(request, signal === undefined ? undefined : { signal });
  return response.status === 200 ? response : unwrap(await response.json<Answer<never>>());
}

/** The name of the object of a relay. A channel name has no slash. */
export function relayObjectName(channel: string, relay: string): string {
  return `${channel}/${relay}`;
}

/** Reads the name of the object of a relay. */
export function relayNamed(name: string): { channel: string; relay: string } {
  const slash = name.indexOf("/");
  return { channel: name.slice(0, slash), relay: name.slice(slash + 1) };
}

/** Reads a `streamRequest`. */
export function wantedStream(request: Request): ConnectRequest {
  const header = request.headers.get(STREAM_REQUEST_HEADER) ?? "";
  return JSON.parse(decodeURIComponent(header)) as ConnectRequest;
}
