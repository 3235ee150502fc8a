import type { IRequest } from "itty-router";
import { HubError } from "../hub/errors.ts";
import type { Env } from "./env.ts";

const READING = ["GET", "HEAD"];

/** The files of `public/`. On the edge they are served before the Worker runs: then only unknown paths come here. */
export async function serveAsset(request: IRequest, env: Env): Promise<Response> {
  const isReading = READING.includes(request.method);
  const { url, headers } = request;
  const asset = await env.ASSETS.fetch(
    new Request(url, { method: isReading ? request.method : "HEAD", headers }),
  );
  if (asset.status === 404) {
    throw new HubError("not_found", "There is nothing at this path.");
  }
  if (!isReading) {
    throw new HubError("method_not_allowed", "This route takes GET, HEAD.", { allow: READING });
  }
  return asset;
}
