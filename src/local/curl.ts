/** Two lines to paste into another terminal: one streams, one publishes to that stream. */
export function curlLines(url: string, allowed: readonly string[], token: string): string[] {
  const query = channelQuery(allowed);
  const event = {
    type: "state_transition",
    data: { agent_id: 1, from_state: "idle", to_state: "processing" },
  };
  const stream = quote(`${url}/api/events${query}`);
  const publish = quote(`${url}/api/publish${query}`);
  const authorization = quote(`Authorization: Bearer ${token}`);
  return [
    `curl -N ${stream}`,
    `curl -H ${authorization} -H 'Content-Type: application/json' -d ${quote(JSON.stringify(event))} ${publish}`,
  ];
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
