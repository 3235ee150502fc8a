import { byId, copy, create } from "./dom.ts";
import { filterQuery, readable, type View } from "./view.ts";

/** Ways to use the service, with what the page looks at filled in. */
const SNIPPETS: Readonly<Record<string, (view: View, origin: string, isGuarded: boolean) => string>> = {
  curl: (view, origin, isGuarded) =>
    [
      `curl -N ${isGuarded ? `-H "Authorization: Bearer $SUBSCRIBE_TOKEN" ` : ""}'${origin}/api/events${withQuery(filterQuery(view))}'`,
      "",
      `curl -H "Authorization: Bearer $PUBLISH_TOKEN" -H 'Content-Type: application/json' \\`,
      `  -d '{"type":"${firstType(view)}","data":{"agent_id":1,"project_id":7,"to_state":"processing"}}' \\`,
      `  '${origin}/api/publish${view.channel === "default" ? "" : `?channel=${view.channel}`}'`,
    ].join("\n"),
  EventSource: (view, origin, isGuarded) =>
    [
      ...(isGuarded
        ? ["// An EventSource sends no token: this needs the cookie __Host-edge_sse with it."]
        : []),
      `const source = new EventSource("${origin}/api/events${withQuery(filterQuery(view), "on_busy=stream")}");`,
      `source.addEventListener("${firstType(view)}", (e) => {`,
      "  console.log(e.lastEventId, JSON.parse(e.data));",
      "});",
      `source.addEventListener("error", (e) => {`,
      `  if ("data" in e) console.warn("the service says", JSON.parse(e.data));`,
      "  // else: the connection is lost, and the browser reconnects by itself",
      "});",
    ].join("\n"),
  SSEClient: (view, origin, isGuarded) =>
    [
      `import { SSEClient } from "${origin}/sse-client.js";`,
      "",
      `const client = new SSEClient(${clientOptions(view, origin, isGuarded)});`,
      `client.on("${firstType(view)}", (data, event) => console.log(event.id, data));`,
      "client.onStateChange((state) => console.log(state));",
      "client.connect();",
    ].join("\n"),
  HTMX: (view, origin, isGuarded) =>
    [
      ...(isGuarded ? ["<!-- This sends no token: it needs the cookie __Host-edge_sse with it. -->"] : []),
      `<script type="module" src="${origin}/htmx-sse.js"></script>`,
      `<section hx-ext="sse" sse-connect="${origin}/api/events${withQuery(filterQuery(view), "on_busy=stream")}">`,
      `  <p sse-swap="${firstType(view)}">Nothing yet.</p>`,
      "</section>",
    ].join("\n"),
};

/** Snippets to copy, one tab each. */
export class Snippets {
  readonly #tabs = byId("snippet-tabs", HTMLDivElement);
  readonly #panel = byId("snippet", HTMLPreElement);
  #chosen = "curl";
  #view: View;
  #isGuarded = false;

  constructor(view: View) {
    this.#view = view;
    for (const name of Object.keys(SNIPPETS)) {
      const tab = create("button", {}, name);
      tab.type = "button";
      tab.id = `snippet-${name}`;
      tab.role = "tab";
      tab.setAttribute("aria-controls", this.#panel.id);
      tab.addEventListener("click", () => this.#choose(name));
      this.#tabs.append(tab);
    }
    this.#tabs.addEventListener("keydown", (event) => this.#move(event));
    const copyButton = byId("copy-snippet", HTMLButtonElement);
    copyButton.addEventListener("click", () => void copy(this.#panel.textContent ?? "", copyButton));
    this.#choose(this.#chosen);
  }

  /** @param isGuarded whether reading takes a token */
  show(view: View, isGuarded: boolean): void {
    this.#view = view;
    this.#isGuarded = isGuarded;
    this.#choose(this.#chosen);
  }

  #choose(name: string): void {
    this.#chosen = name;
    for (const tab of this.#tabs.querySelectorAll("button")) {
      const isChosen = tab.id === `snippet-${name}`;
      tab.ariaSelected = String(isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
    }
    this.#panel.setAttribute("aria-labelledby", `snippet-${name}`);
    this.#panel.textContent = SNIPPETS[name]?.(this.#view, location.origin, this.#isGuarded) ?? "";
  }

  #move(event: KeyboardEvent): void {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      const names = Object.keys(SNIPPETS);
      const next = names.at((names.indexOf(this.#chosen) + step) % names.length) ?? this.#chosen;
      this.#choose(next);
      document.getElementById(`snippet-${next}`)?.focus();
    }
  }
}

function withQuery(query: URLSearchParams, more = ""): string {
  const text = [readable(query), more].filter((part) => part !== "").join("&");
  return text === "" ? "" : `?${text}`;
}

/** A type to listen to: the first that the filter names in full. */
function firstType({ types }: View): string {
  return types.find((type) => /^[\w.:-]+$/.test(type)) ?? "state_transition";
}

function clientOptions(
  { channel, types, projectIds, agentIds }: View,
  origin: string,
  isGuarded: boolean,
): string {
  const options = {
    url: `${origin}/api/events`,
    channel: channel === "default" ? undefined : channel,
    types: types.length === 0 ? undefined : types,
    projectId: projectIds.length === 0 ? undefined : projectIds,
    agentId: agentIds.length === 0 ? undefined : agentIds,
  };
  const lines = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `  ${name}: ${JSON.stringify(value)},`);
  if (isGuarded) {
    lines.push(`  token: async () => (await fetch("/my-token")).text(),`);
  }
  return `{\n${lines.join("\n")}\n}`;
}
