import type { IRequest } from "itty-router";
import Negotiator from "negotiator";
import { narrow } from "../auth/grant.ts";
import { HubError } from "../hub/errors.ts";
import type { ConnectRequest } from "../hub/audience/audience.ts";
import { addressOf } from "./address.ts";
import { requireAllowed } from "./channels.ts";
import type { Env } from "./env.ts";
import { authorize, type Principal } from "./guard.ts";
import { unlessFlooding } from "./flood.ts";
import { hubOf, openStream } from "./hub-object.ts";
import { enterChannel } from "./known-channels.ts";
import { Query } from "./query.ts";
import { refusalResponse } from "./refusal.ts";
import { STREAM_HEADERS } from "./stream-headers.ts";
import { requireStreams } from "./stopping.ts";
import { redeemTicket } from "./tickets.ts";

const PARAMETERS = [
  "types",
  "project_id",
  "agent_id",
  "channel",
  "last_event_id",
  "lastEventId",
  "since",
  "log",
  "on_busy",
  "envelope",
  "ticket",
];

/** What a client may accept: parameters count. */
const MEDIA_TYPES = ["text/event-stream", STREAM_HEADERS["Content-Type"]];

/** `GET /api/events`: opens a stream. */
export async function streamEvents(request: IRequest, env: Env): Promise<Response> {
  requireAcceptable(request);
  const { searchParams: parameters } = new URL(request.url);
  const ticket = parameters.get("ticket");
  const isPublic = env.AUTH.subscribe.includes("public");
  const principal =
    ticket === null || isPublic
      ? await authorize(request, env, "subscribe")
      : await redeemTicket(ticket, env);
  const { channel, wanted, streamsWhenBusy } = readStreamRequest(request, parameters, env, principal);
  try {
    requireStreams(env);
    return await unlessFlooding(channel, wanted.address, async () => {
      await enterChannel(env, channel, { role: "client", key: wanted.address });
      return openStream(hubOf(env, channel), wanted);
    });
  } catch (error) {
    if (error instanceof HubError) {
      const { lastEventId } = wanted.start;
      return refusalResponse(error, { streamsWhenBusy, lastEventId }, env.SSE.retry_after_seconds);
    }
    throw error;
  }
}

/** `HEAD /api/events`: the headers of a stream; registers nobody, and uses no ticket up. */
export async function describeStream(request: IRequest, env: Env): Promise<Response> {
  requireAcceptable(request);
  const { searchParams: parameters } = new URL(request.url);
  readStreamRequest(request, parameters, env, await authorize(request, env, "subscribe"));
  return new Response(null, { headers: STREAM_HEADERS });
}

function requireAcceptable(request: Request): void {
  const accept = request.headers.get("Accept");
  // What an EventSource sends: nothing to negotiate.
  if (accept === null || accept === "text/event-stream") {
    return;
  }
  if (new Negotiator({ headers: { accept } }).mediaType(MEDIA_TYPES) === undefined) {
    const detail = "This route answers text/event-stream, which the Accept header excludes.";
    throw new HubError("not_acceptable", detail);
  }
}

function readStreamRequest(
  request: IRequest,
  parameters: URLSearchParams,
  env: Env,
  { grant, endsAt }: Principal,
): { channel: string; wanted: ConnectRequest; streamsWhenBusy: boolean } {
  const query = new Query(parameters, PARAMETERS);
  const channel = query.channel();
  const wanted = {
    terms: narrow(query.filter(), grant),
    form: query.form(),
    start: query.start(request.headers.get("Last-Event-ID"), Date.now()),
    address: addressOf(request, env),
    endsAt,
  };
  const streamsWhenBusy = query.streamsWhenBusy();
  query.finish();
  requireAllowed(channel, env.CHANNELS.allowed, grant);
  return { channel, wanted, streamsWhenBusy };
}
