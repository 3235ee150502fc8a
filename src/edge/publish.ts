import type { IRequest } from "itty-router";
import { unwrap } from "./answer.ts";
import { requireAllowed } from "./channels.ts";
import type { Env } from "./env.ts";
import { readEvents } from "./event-gate.ts";
import { authorize } from "./guard.ts";
import { hubOf } from "./hub-object.ts";
import { enterChannel } from "./known-channels.ts";
import { readItems } from "./publish-body.ts";
import { requireGranted } from "./publish-grant.ts";
import { Query } from "./query.ts";
import { requirePublishes } from "./stopping.ts";

/** `POST /api/publish`: stores events and answers their ids once they are durable. */
export async function publishEvents(request: IRequest, env: Env): Promise<Response> {
  const parameters = new URL(request.url).searchParams;
  const query = new Query(parameters, ["channel"]);
  const asked = query.channel();
  if (parameters.has("channel") && !query.hasMistakes) {
    requireAllowed(asked, env.CHANNELS.allowed);
  }
  const { grant, subject } = await authorize(request, env, "publish");
  const items = await readItems(request);
  query.finish();
  const { channel, events } = readEvents(items, asked);
  requireAllowed(channel, env.CHANNELS.allowed);
  requireGranted(channel, events, items, grant);
  requirePublishes(env);
  await enterChannel(env, channel, { role: "publisher", key: subject });
  const receipts = unwrap(await hubOf(env, channel).publish(events, subject));
  return Response.json({
    events: receipts.map(({ seq, type, duplicate, conflict }) => ({
      id: String(seq),
      type,
      duplicate,
      ...(conflict && { conflict }),
    })),
  });
}
