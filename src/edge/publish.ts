import type { IRequest } from "itty-router";
import { narrow } from "../auth/grant.ts";
import { HubError } from "../hub/errors.ts";
import { unwrap } from "./answer.ts";
import { requireAllowed } from "./channels.ts";
import type { Env } from "./env.ts";
import { readEvents } from "./event-gate.ts";
import { authorize } from "./guard.ts";
import { hubOf } from "./hub-object.ts";
import { enterChannel } from "./known-channels.ts";
import { readItems, type Item } from "./publish-body.ts";
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
  const published = await hubOf(env, channel).publish(events, subject, narrow({}, grant));
  const receipts = atTheirPlaces(items, () => unwrap(published));
  return Response.json({
    events: receipts.map(({ seq, type, duplicate, conflict }) => ({
      id: String(seq),
      type,
      duplicate,
      ...(conflict && { conflict }),
    })),
  });
}

/** The hub counts events from 0. What it refuses is told to the publisher by the place where the event stood. */
function atTheirPlaces<Value>(items: readonly Item[], work: () => Value): Value {
  try {
    return work();
  } catch (error) {
    if (error instanceof HubError && error.code === "key_taken") {
      const errors = error.errors.map(({ index = 0, ...rest }) => ({ ...items[index]?.position, ...rest }));
      throw new HubError(error.code, error.message, { errors });
    }
    throw error;
  }
}
