import type { IRequest } from "itty-router";
import type { FiltersAnswer } from "../../wire/filters.ts";
import { Query } from "../request/query.ts";
import type { Service } from "../service.ts";

/** `GET /api/filters`: the fields that events can be selected by, so that a page can offer them. */
export function readFilters(request: IRequest, service: Service): Response {
  new Query(new URL(request.url).searchParams, []).finish();
  const body: FiltersAnswer = { fields: service.host.config.filters.fields };
  return Response.json(body, { headers: { "Cache-Control": "no-store" } });
}
