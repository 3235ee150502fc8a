import type { IRequest } from "itty-router";
import Negotiator from "negotiator";
import { HubError } from "../hub/errors.ts";
import { requireAllowed } from "./channels.ts";
import type { Env } from "./env.ts";
import { hubOf, openStream, STREAM_HEADERS, type StreamRequest } from "./hub-object.ts";
import { Query } from "./query.ts";

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
];

/** What a client may accept: parameters count. */
const MEDIA_TYPES = ["text/event-stream", STREAM_HEADERS["Content-Type"]];

/** `GET /api/events`: opens a stream. */
export function streamEvents(request: IRequest, env: Env): Promise<Response> {
  const { channel, wanted } = readStreamRequest(request, env);
  return openStream(hubOf(env, channel), wanted);
}

/** `HEAD /api/events`: the headers of a stream; registers nobody. */
export function describeStream(request: IRequest, env: Env): Response {
  readStreamRequest(request, env);
  return new Response(null, { headers: STREAM_HEADERS });
}

function readStreamRequest(request: IRequest, env: Env): { channel: string; wanted: StreamRequest } {
  const accept = request.headers.get("Accept") ?? undefined;
  if (new Negotiator({ headers: { accept } }).mediaType(MEDIA_TYPES) === undefined) {
    throw new HubError(
      "not_acceptable",
      "This route answers text/event-stream, which the Accept header excludes.",
    );
  }
  const query = new Query(new URL(request.url).searchParams, PARAMETERS);
  const channel = query.channel();
  const wanted = {
    terms: query.filter(),
    address: null,
    endsAt: null,
    start: query.start(request.headers.get("Last-Event-ID"), Date.now()),
    streamsWhenBusy: query.streamsWhenBusy(),
  };
  query.finish();
  requireAllowed(channel, env.CHANNELS.allowed);
  return { channel, wanted };
}
