import { quoteForHtml, quoteForScript, quoteForShell } from "./quote.ts";
import { channelQuery, filterQuery, isChannelName, readable, type View } from "./view.ts";

export interface SnippetSource {
  /** Comes from the address of the page, so an attacker may have written it. */
  readonly view: View;
  readonly origin: string;
  /** Whether reading requires a token. */
  readonly isGuarded: boolean;
}

export const SNIPPET_NAMES = ["curl", "EventSource", "SSEClient", "HTMX"] as const;

export type SnippetName = (typeof SNIPPET_NAMES)[number];

const SNIPPETS: Readonly<Record<SnippetName, (source: SnippetSource) => string>> = {
  curl({ view, origin, isGuarded }) {
    const event = {
      type: firstType(view),
      data: { agent_id: 1, project_id: 7, to_state: "processing" },
    };
    const stream = quoteForShell(`${origin}/api/events${withQuery(filterQuery(view))}`);
    const publish = quoteForShell(`${origin}/api/publish${withQuery(channelQuery(view.channel))}`);
    return [
      `curl -N ${isGuarded ? `-H "Authorization: Bearer $SUBSCRIBE_TOKEN" ` : ""}${stream}`,
      "",
      `curl -H "Authorization: Bearer $PUBLISH_TOKEN" -H 'Content-Type: application/json' \\`,
      `  -d ${quoteForShell(JSON.stringify(event))} \\`,
      `  ${publish}`,
    ].join("\n");
  },
  EventSource({ view, origin, isGuarded }) {
    const url = `${origin}/api/events${withQuery(filterQuery(view), "on_busy=stream")}`;
    return [
      ...(isGuarded
        ? ["// An EventSource cannot send a token. Put it into the cookie __Host-edge_sse."]
        : []),
      `const source = new EventSource(${quoteForScript(url)});`,
      `source.addEventListener(${quoteForScript(firstType(view))}, (e) => {`,
      "  console.log(e.lastEventId, JSON.parse(e.data));",
      "});",
      `source.addEventListener("error", (e) => {`,
      `  if ("data" in e) console.warn("the service says", JSON.parse(e.data));`,
      "  // Otherwise the connection is lost, and the browser reconnects by itself.",
      "});",
    ].join("\n");
  },
  SSEClient: ({ view, origin, isGuarded }) =>
    [
      `import { SSEClient } from ${quoteForScript(`${origin}/sse-client.js`)};`,
      "",
      `const client = new SSEClient(${clientOptions(view, origin, isGuarded)});`,
      `client.on(${quoteForScript(firstType(view))}, (data, event) => console.log(event.id, data));`,
      "client.onStateChange((state) => console.log(state));",
      "client.connect();",
    ].join("\n"),
  HTMX({ view, origin, isGuarded }) {
    const url = `${origin}/api/events${withQuery(filterQuery(view), "on_busy=stream")}`;
    return [
      ...(isGuarded ? ["<!-- This cannot send a token. Put it into the cookie __Host-edge_sse. -->"] : []),
      `<script type="module" src=${quoteForHtml(`${origin}/htmx-sse.js`)}></script>`,
      `<section hx-ext="sse" sse-connect=${quoteForHtml(url)}>`,
      `  <p sse-swap=${quoteForHtml(firstType(view))}>Nothing yet.</p>`,
      "</section>",
    ].join("\n");
  },
};

/**
 * The text of a snippet, for people to copy and run. An attacker can put a command into the address of the page, so
 * each value is quoted for its place, and an invalid channel name appears in no snippet.
 */
export function snippetText(name: SnippetName, source: SnippetSource): string {
  return isChannelName(source.view.channel)
    ? SNIPPETS[name](source)
    : "The address of this page has an invalid channel name. Expected [a-z0-9][a-z0-9_-]{0,63}.";
}

function withQuery(query: URLSearchParams, more = ""): string {
  const text = [readable(query), more].filter((part) => part !== "").join("&");
  return text === "" ? "" : `?${text}`;
}

/** The first type of the filter that is not a prefix. */
function firstType({ types }: View): string {
  return types.find((type) => /^[\w.:-]{1,64}$/.test(type)) ?? "state_transition";
}

function clientOptions({ channel, types, fields }: View, origin: string, isGuarded: boolean): string {
  const where = Object.fromEntries(Object.entries(fields).filter(([, values]) => values.length > 0));
  const options = {
    url: `${origin}/api/events`,
    channel: channel === "default" ? undefined : channel,
    types: types.length === 0 ? undefined : types,
    where: Object.keys(where).length === 0 ? undefined : where,
  };
  const lines = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${name}: ${quoteForScript(value)},`);
  if (isGuarded) {
    lines.push(`  token: async () => (await fetch("/my-token")).text(),`);
  }
  return `{\n${lines.join("\n")}\n}`;
}
