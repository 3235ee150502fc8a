import type { IRequest } from "itty-router";
import { narrow } from "../../auth/grant.ts";
import { describeGap } from "../../hub/audience/service-frames.ts";
import { eventJson } from "../../hub/log/event-json.ts";
import type { HistoryAnswer } from "../../wire/events.ts";
import { authorize } from "../access/authorize.ts";
import { readerOf } from "../channel-reader.ts";
import { requireAllowed } from "../request/channel-name.ts";
import { Query } from "../request/query.ts";
import type { Service } from "../service.ts";

const PARAMETERS = ["channel", "types", "after", "since", "log", "limit"];

const LIMIT = { default: 100, most: 1_000 } as const;

/** `GET /api/history`: the events that a stream would replay, as JSON. */
export async function readHistory(request: IRequest, service: Service): Promise<Response> {
  const { grant } = await authorize(request, service, "subscribe");
  const { fields, ignored_parameters: ignored } = service.host.config.filters;
  const query = new Query(new URL(request.url).searchParams, [...PARAMETERS, ...fields], ignored);
  const channel = query.channel();
  const wanted = {
    terms: narrow(query.filter(fields), grant),
    start: query.historyStart(service.host.clock.now()),
    address: service.addressOf(request),
    limit: query.integer("limit", 1, LIMIT.most) ?? LIMIT.default,
  };
  query.finish();
  requireAllowed(channel, service.host.config.channels.allowed, grant);
  const page = await (await readerOf(service, channel)).history(wanted);
  const answer: Omit<HistoryAnswer, "events"> = {
    next: String(page.next),
    more: page.more,
    oldest_id: page.oldest === null ? null : String(page.oldest),
    latest_id: String(page.latest),
    ...(page.gap && { gap: describeGap(page.gap) }),
  };
  const body = `{"events":[${page.events.map(eventJson).join(",")}],${JSON.stringify(answer).slice(1)}`;
  return new Response(body, {
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}
