import type { Env } from "./edge/env.ts";
import { answerRequest } from "./edge/host.ts";

export { DirectoryObject } from "./edge/directory-object.ts";
export { HubObject } from "./edge/hub-object.ts";
export { RelayObject } from "./edge/relay-object.ts";
export { TicketsObject } from "./edge/tickets-object.ts";

export default {
  fetch: answerRequest,
} satisfies ExportedHandler<Env>;
