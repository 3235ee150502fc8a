import { tokensOf } from "../auth/static-token.ts";
import type { Config } from "../config/schema.ts";

/**
 * Two lines to paste into another terminal: one streams, one publishes to that stream. Where a token is needed that
 * nobody here knows, they say what to put in.
 */
export function curlLines(
  url: string,
  { channels, auth }: Pick<Config, "channels" | "auth">,
  vars: Readonly<Record<string, string>>,
): string[] {
  const query = channelQuery(channels.allowed);
  const event = {
    type: "state_transition",
    data: { agent_id: 1, from_state: "idle", to_state: "processing" },
  };
  const stream = quote(`${url}/api/events${query}`);
  const publish = quote(`${url}/api/publish${query}`);
  const reads = authorization(auth.subscribe, "SUBSCRIBE_TOKEN", vars);
  const writes = authorization(auth.publish, "PUBLISH_TOKEN", vars);
  return [
    `curl -N ${reads}${stream}`,
    `curl ${writes}-H 'Content-Type: application/json' -d ${quote(JSON.stringify(event))} ${publish}`,
  ];
}

/** The header that lets a request in; nothing where anybody is let in. */
function authorization(
  accepted: readonly string[],
  secret: string,
  vars: Readonly<Record<string, string>>,
): string {
  if (accepted.includes("public")) {
    return "";
  }
  const [first] = accepted.includes("token") ? tokensOf(vars[secret]) : [];
  const token = first ?? (accepted.includes("jwt") ? "<a JWT>" : `<${secret}>`);
  return `-H ${quote(`Authorization: Bearer ${token}`)} `;
}

/** Names a channel that exists, unless the default one does. */
function channelQuery(allowed: readonly string[]): string {
  const [first] = allowed;
  if (first === undefined || allowed.some(matchesDefault)) {
    return "";
  }
  return `?channel=${first.replace("*", "")}`;
}

function matchesDefault(entry: string): boolean {
  return entry.endsWith("*") ? "default".startsWith(entry.slice(0, -1)) : entry === "default";
}

/** A word of a shell: a space, a quote or a dollar sign in it stays what it is. */
function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
