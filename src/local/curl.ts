import { grantsChannel } from "../auth/grant.ts";
import { tokensOf } from "../auth/static-token.ts";
import type { Config } from "../config/schema.ts";
import { quote } from "./shell-word.ts";

/** Returns shell code that looks a token up, for use inside double quotes. It shows no token. */
export type TokenReference = (secret: string, token: string) => string;

/**
 * Two commands to paste into another terminal: one streams, the other publishes to that stream. A token that is not
 * known is shown as a placeholder.
 *
 * @param refer absent: the commands contain the tokens themselves
 */
export function curlLines(
  url: string,
  { channels, auth }: Pick<Config, "channels" | "auth">,
  vars: Readonly<Record<string, string>>,
  refer?: TokenReference,
): string[] {
  const query = channelQuery(channels.allowed);
  const event = {
    type: "state_transition",
    data: { agent_id: 1, from_state: "idle", to_state: "processing" },
  };
  const stream = quote(`${url}/api/events${query}`);
  const publish = quote(`${url}/api/publish${query}`);
  const reads = authorization(auth.subscribe, "SUBSCRIBE_TOKEN", vars, refer);
  const writes = authorization(auth.publish, "PUBLISH_TOKEN", vars, refer);
  return [
    `curl -N ${reads}${stream}`,
    `curl ${writes}-H 'Content-Type: application/json' -d ${quote(JSON.stringify(event))} ${publish}`,
  ];
}

/** The `Authorization` option for curl; empty for a public route. */
function authorization(
  accepted: readonly string[],
  secret: string,
  vars: Readonly<Record<string, string>>,
  refer: TokenReference | undefined,
): string {
  if (accepted.includes("public")) {
    return "";
  }
  const [first] = accepted.includes("token") ? tokensOf(vars[secret]) : [];
  if (first !== undefined && refer !== undefined) {
    return `-H "Authorization: Bearer ${refer(secret, first)}" `;
  }
  const token = first ?? (accepted.includes("jwt") ? "<a JWT>" : `<${secret}>`);
  return `-H ${quote(`Authorization: Bearer ${token}`)} `;
}

/** Names an allowed channel, unless the default channel is allowed. */
function channelQuery(allowed: readonly string[]): string {
  const [first] = allowed;
  if (first === undefined || grantsChannel({ channels: allowed }, "default")) {
    return "";
  }
  return `?channel=${first.replace("*", "")}`;
}
