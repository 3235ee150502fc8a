import type { IRequest } from "itty-router";
import Negotiator from "negotiator";
import { narrow } from "../../auth/grant.ts";
import type { ConnectRequest } from "../../hub/audience/audience.ts";
import { HubError } from "../../hub/errors.ts";
import { authorize } from "../access/authorize.ts";
import type { Principal } from "../access/principal.ts";
import { requireAllowed } from "../request/channel-name.ts";
import { Query } from "../request/query.ts";
import { Problem } from "../response/problem.ts";
import { refusalResponse } from "../response/refusal.ts";
import { STREAM_HEADERS } from "../response/stream-headers.ts";
import type { Service } from "../service.ts";
import { redeemTicket } from "./tickets.ts";

const PARAMETERS = [
  "types",
  "channel",
  "last_event_id",
  "lastEventId",
  "since",
  "log",
  "on_busy",
  "envelope",
  "bare",
  "caught_up",
  "ticket",
];

/** The media types of a stream. An `Accept` header may name the parameters too. */
const MEDIA_TYPES = ["text/event-stream", STREAM_HEADERS["Content-Type"]];

/** `GET /api/events`: opens a stream. */
export async function streamEvents(request: IRequest, service: Service): Promise<Response> {
  requireAcceptable(request);
  const { searchParams: parameters } = new URL(request.url);
  const ticket = parameters.get("ticket");
  const isPublic = service.host.config.auth.subscribe.includes("public");
  const principal =
    ticket === null || isPublic
      ? await authorize(request, service, "subscribe")
      : await redeemTicket(ticket, service);
  const { channel, wanted, streamsWhenBusy } = readStreamRequest(request, parameters, service, principal);
  try {
    service.stopping.requireStreams();
    return await service.floods.unlessFlooding(channel, wanted.address, async () => {
      await service.channels.enter(channel, { role: "client", key: wanted.address });
      return service.host.hubs.of(channel).connect(wanted, service.host.regionOf(request));
    });
  } catch (error) {
    if (error instanceof HubError) {
      const { isBare, start } = wanted;
      const asked = { streamsWhenBusy, isBare, lastEventId: start.lastEventId };
      return refusalResponse(error, asked, service.retryAfterSeconds);
    }
    throw error;
  }
}

/** `HEAD /api/events`: the headers of a stream. Registers no client, and accepts no ticket. */
export async function describeStream(request: IRequest, service: Service): Promise<Response> {
  requireAcceptable(request);
  const { searchParams: parameters } = new URL(request.url);
  readStreamRequest(request, parameters, service, await authorize(request, service, "subscribe"));
  return new Response(null, { headers: STREAM_HEADERS });
}

function requireAcceptable(request: Request): void {
  const accept = request.headers.get("Accept");
  // An EventSource sends exactly this, and parsing it would cost CPU for each connect.
  if (accept === null || accept === "text/event-stream") {
    return;
  }
  if (new Negotiator({ headers: { accept } }).mediaType(MEDIA_TYPES) === undefined) {
    const detail =
      "This route answers text/event-stream, which the Accept header excludes. Send Accept: text/event-stream.";
    throw new Problem("not_acceptable", detail);
  }
}

function readStreamRequest(
  request: IRequest,
  parameters: URLSearchParams,
  service: Service,
  { grant, endsAt }: Principal,
): { channel: string; wanted: ConnectRequest & { isBare: boolean }; streamsWhenBusy: boolean } {
  const { fields, ignored_parameters: ignored } = service.host.config.filters;
  const query = new Query(parameters, [...PARAMETERS, ...fields], ignored);
  const channel = query.channel();
  const wanted = {
    terms: narrow(query.filter(fields), grant),
    form: query.form(),
    isBare: query.flag("bare", "get the frames of the service too"),
    tellsCaughtUp: query.flag("caught_up", "get no such frame"),
    start: query.start(request.headers.get("Last-Event-ID"), service.host.clock.now()),
    address: service.addressOf(request),
    endsAt,
  };
  const streamsWhenBusy = query.streamsWhenBusy();
  query.finish();
  requireAllowed(channel, service.host.config.channels.allowed, grant);
  return { channel, wanted, streamsWhenBusy };
}
