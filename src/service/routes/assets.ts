import type { IRequest } from "itty-router";
import { Problem } from "../response/problem.ts";
import type { Service } from "../service.ts";

const READING = ["GET", "HEAD"];

/** Serves the files of `public/`. On the edge only unknown paths come here, because the platform serves files itself. */
export async function serveAsset(request: IRequest, service: Service): Promise<Response> {
  const isReading = READING.includes(request.method);
  const { url, headers } = request;
  const asset = await service.host.asset(
    new Request(url, { method: isReading ? request.method : "HEAD", headers }),
  );
  if (asset.status === 404) {
    throw new Problem("not_found", "There is nothing at this path.");
  }
  if (!isReading) {
    throw new Problem("method_not_allowed", "This route accepts GET and HEAD only.", { allow: READING });
  }
  return asset;
}
