import type { IRequest } from "itty-router";
import { requireAllowed } from "./channels.ts";
import type { Env } from "./env.ts";
import { readEvents } from "./event-gate.ts";
import { requireToken } from "./guard.ts";
import { hubOf } from "./hub-object.ts";
import { unwrap } from "./answer.ts";
import { readItems } from "./publish-body.ts";
import { Query } from "./query.ts";

/** `POST /api/publish`: stores events and answers their ids once they are durable. */
export async function publishEvents(request: IRequest, env: Env): Promise<Response> {
  const parameters = new URL(request.url).searchParams;
  const query = new Query(parameters, ["channel"]);
  const asked = query.channel();
  if (parameters.has("channel") && !query.hasMistakes) {
    requireAllowed(asked, env.CHANNELS.allowed);
  }
  await requireToken(request, env.PUBLISH_TOKEN, "PUBLISH_TOKEN");
  const items = await readItems(request);
  query.finish();
  const { channel, events } = readEvents(items, asked);
  requireAllowed(channel, env.CHANNELS.allowed);
  const receipts = unwrap(await hubOf(env, channel).publish(events, null));
  return Response.json({
    events: receipts.map(({ seq, type, duplicate, conflict }) => ({
      id: String(seq),
      type,
      duplicate,
      ...(conflict && { conflict }),
    })),
  });
}
