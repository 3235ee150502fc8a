import type { IRequest } from "itty-router";
import { narrow } from "../../auth/grant.ts";
import { HubError } from "../../hub/errors.ts";
import type { Receipt } from "../../hub/log/event-log.ts";
import type { PublishAnswer, Receipt as ReceiptAnswer } from "../../wire/events.ts";
import { authorize } from "../access/authorize.ts";
import { requireGranted } from "../access/publish-grant.ts";
import { requireAllowed } from "../request/channel-name.ts";
import { readEvents, type PlacedEvent } from "../request/event-gate.ts";
import { readItems } from "../request/publish-body.ts";
import { Query } from "../request/query.ts";
import { Problem } from "../response/problem.ts";
import type { Service } from "../service.ts";

/** `POST /api/publish`: stores events, and answers with their ids once they are durable. */
export async function publishEvents(request: IRequest, service: Service): Promise<Response> {
  const parameters = new URL(request.url).searchParams;
  const query = new Query(parameters, ["channel"]);
  const asked = query.channel();
  if (parameters.has("channel") && !query.hasMistakes) {
    requireAllowed(asked, service.host.config.channels.allowed);
  }
  const { grant, subject } = await authorize(request, service, "publish");
  const items = await readItems(request);
  query.finish();
  const { channel, events } = readEvents(items, asked, service.host.config.filters.fields);
  requireAllowed(channel, service.host.config.channels.allowed);
  requireGranted(channel, events, grant);
  service.stopping.requirePublishes();
  await service.channels.enter(channel, { role: "publisher", key: subject });
  const receipts = await atTheirPlaces(events, () =>
    service.host.hubs.of(channel).publish(
      events.map(({ event }) => event),
      subject,
      narrow({}, grant),
    ),
  );
  const answer: PublishAnswer = { events: receipts.map(describe) };
  return Response.json(answer);
}

function describe({ seq, type, duplicate, conflict }: Receipt): ReceiptAnswer {
  return { id: String(seq), type, duplicate, ...(conflict && { conflict }) };
}

/** The hub names a refused event by its position in the batch. The publisher gets its index or line in the request. */
async function atTheirPlaces<Value>(
  events: readonly PlacedEvent[],
  work: () => Promise<Value>,
): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof HubError && error.code === "key_taken") {
      const errors = error.errors.map(({ index, ...rest }) => ({ ...events[index]?.position, ...rest }));
      throw new Problem("key_taken", error.message, { errors });
    }
    throw error;
  }
}
