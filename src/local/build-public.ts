import { buildClient } from "./build-client.ts";
import { buildPages } from "./build-pages.ts";

/** Everything in `public/` that is built and not kept in the tree: what clients import, and what the pages load. */
export async function buildPublic(project: string): Promise<void> {
  await Promise.all([buildClient(project), buildPages(project)]);
}
