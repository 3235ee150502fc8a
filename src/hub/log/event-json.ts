import type { StoredEvent } from "./event-log.ts";

/** An event with everything that is stored of it, as one line of JSON: the object of the history, and of an envelope. */
export function eventJson({ seq, type, data, projectId, agentId, publishedAt }: StoredEvent): string {
  const rest = JSON.stringify({
    ...(projectId !== null && { project_id: projectId }),
    ...(agentId !== null && { agent_id: agentId }),
    published_at: new Date(publishedAt).toISOString(),
  });
  // The data is JSON already, and goes in as it is stored.
  return `{"id":"${seq}","type":${JSON.stringify(type)},"data":${data},${rest.slice(1)}`;
}
