import type { Env } from "./edge/env.ts";
import { router } from "./edge/router.ts";

export { DirectoryObject } from "./edge/directory-object.ts";
export { HubObject } from "./edge/hub-object.ts";

export default {
  fetch: (request, env) => router.fetch(request, env),
} satisfies ExportedHandler<Env>;
