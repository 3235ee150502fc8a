import { execFileSync } from "node:child_process";
import { runInNewContext } from "node:vm";

import { describe, expect, it } from "vitest";

import { SNIPPET_NAMES, snippetText } from "../../../src/console/snippet-text.ts";
import { readView } from "../../../src/console/view.ts";

const ORIGIN = "http://127.0.0.1:8787";

/** Values in an address that could run as code when a user pastes the snippet. */
const EVIL = [
  "x';touch PWNED;echo '",
  '";touch PWNED;"',
  "$(touch PWNED)",
  "`touch PWNED`",
  "x\ntouch PWNED",
  '");alert(1);("',
  "</script><script>alert(1)</script>",
  '" onload="alert(1)',
];

function source(query: Record<string, string>) {
  return {
    view: readView(`?${new URLSearchParams(query)}`, ["project_id", "agent_id"]),
    origin: ORIGIN,
    isGuarded: true,
  };
}

/** The arguments of each curl that a shell runs for a snippet. */
function curlsOf(script: string): string[][] {
  const curl = `curl() { for word; do printf '%s\\037' "$word"; done; printf '\\036'; }`;
  const output = execFileSync("/bin/sh", ["-c", `PATH=\n${curl}\n${script}`], { encoding: "utf8" });
  return output
    .split("\u001e")
    .filter((line) => line !== "")
    .map((line) => line.split("\u001f").slice(0, -1));
}

describe("a snippet", () => {
  it.each(EVIL)("does not show an invalid channel name: %j", (channel) => {
    for (const name of SNIPPET_NAMES) {
      const text = snippetText(name, source({ channel }));
      expect(text).toMatch(/invalid channel name/);
      expect(text).not.toContain("PWNED");
      expect(text).not.toContain("alert");
    }
  });

  it.each(EVIL)("for a shell requests that type and those ids, and runs nothing: %j", (value) => {
    const query = { channel: "board", types: value, project_id: value, agent_id: value };
    const [stream = [], publish = [], ...others] = curlsOf(snippetText("curl", source(query)));
    expect(others).toEqual([]);
    const asked = new URL(stream.at(-1) ?? "");
    expect(asked.origin).toBe(ORIGIN);
    expect(Object.fromEntries(asked.searchParams)).toEqual(query);
    expect(publish.at(-1)).toBe(`${ORIGIN}/api/publish?channel=board`);
    expect(JSON.parse(publish.at(-2) ?? "")).toMatchObject({ type: "state_transition" });
  });

  it.each(EVIL)("for a page opens one stream with that type and those ids, and runs nothing: %j", (value) => {
    const query = { channel: "board", types: value, project_id: value, agent_id: value };
    const urls: string[] = [];
    class EventSource {
      constructor(url: string) {
        urls.push(url);
      }
      addEventListener(): void {}
    }
    const text = snippetText("EventSource", source(query));
    runInNewContext(text, { EventSource });
    expect(urls.map((url) => Object.fromEntries(new URL(url).searchParams))).toEqual([
      { ...query, on_busy: "stream" },
    ]);
    expect(text).not.toContain("</");
  });

  it.each(EVIL)("for our client passes that type and those ids, and runs nothing: %j", (value) => {
    const query = { channel: "board", types: value, project_id: value, agent_id: value };
    const given: unknown[] = [];
    class SSEClient {
      constructor(options: unknown) {
        given.push(options);
      }
      on(): void {}
      onStateChange(): void {}
      connect(): void {}
    }
    const [, ...lines] = snippetText("SSEClient", source(query)).split("\n");
    runInNewContext(lines.join("\n"), { SSEClient });
    expect(given).toMatchObject([
      { channel: "board", types: [value], where: { project_id: [value], agent_id: [value] } },
    ]);
  });

  it.each(EVIL)("for HTMX has one element of each kind, and no injected attribute: %j", (value) => {
    const query = { channel: "board", types: value, project_id: value, agent_id: value };
    const text = snippetText("HTMX", source(query));
    expect(text.match(/<[a-z]+/g)).toEqual(["<script", "<section", "<p"]);
    expect(text.match(/ [a-z-]+=(?=")/g)).toEqual([
      " type=",
      " src=",
      " hx-ext=",
      " sse-connect=",
      " sse-swap=",
    ]);
  });

  it("listens to the first type that is named in full", () => {
    const text = snippetText("curl", source({ types: "turn_*,x';y,done" }));
    expect(text).toContain('{"type":"done"');
  });
});
