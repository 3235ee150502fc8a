import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import { launchBrowser, openPage } from "../support/browser.ts";
import { adminToken, publishToken, startService, type Service } from "../support/service.ts";

/** Texts that would run `attack()` if the console ever took them for markup, for a URL or for code. */
const HOSTILE = [
  `<img src=x onerror="attack()">`,
  `<svg/onload=attack()>`,
  `</script><script>attack()</script>`,
  `</pre></div></main><iframe srcdoc="<script>parent.attack()</script>"></iframe>`,
  `"><button autofocus onfocus=attack()>x</button>`,
  `' style='animation:x' onanimationstart='attack()`,
  `<form action="javascript:attack()"><input name=id>`,
  `<base href="https://attacker.example/">`,
  `<meta http-equiv=refresh content="0;url=https://attacker.example/">`,
  `<link rel=stylesheet href=https://attacker.example/x.css>`,
  `javascript:attack()`,
  `data:text/html,<script>attack()</script>`,
  `&lt;img src=x onerror=attack()&gt;`,
  `<!--<img title="--><img src=x onerror=attack()>">`,
  "${attack()}`;attack();//",
  `");attack();("`,
  `{{constructor.constructor("attack()")()}}`,
  `x';attack();echo '`,
  `\u202Egnp.exe\u2028\u2029\u0000<b>`,
] as const;

/** The names of JavaScript's own properties are event types like any other. */
const ODD_TYPES = ["__proto__", "constructor", "toString", "hasOwnProperty", "a:b.c-d_e", "x".repeat(64)];

interface Damage {
  /** Calls of `attack()`. */
  readonly attacks: number;
  /** Violations of the content security policy: something was injected, and only the policy has stopped it. */
  readonly violations: readonly string[];
  /** Elements and attributes that the console never makes. */
  readonly injected: readonly string[];
}

const UNHARMED: Damage = { attacks: 0, violations: [], injected: [] };

const WATCH = `
  globalThis.attacks = 0;
  globalThis.attack = () => attacks++;
  globalThis.violations = [];
  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sample }) => {
    violations.push([violatedDirective, blockedURI, sample].join(" "));
  });
`;

/** Everything in the page that is not one of the console's own elements, and every attribute that could run code. */
const INJECTED = `(() => {
  const foreign = "img, iframe, object, embed, base, frame, audio, video, math, style, svg svg, button[autofocus]";
  const own = ["/console/console.js"];
  const urls = ["href", "src", "action", "formaction", "data", "cite", "poster", "background"];
  const found = [...document.querySelectorAll(foreign)].map(({ outerHTML }) => outerHTML);
  for (const element of document.querySelectorAll("*")) {
    for (const { name, value } of element.attributes) {
      const isScript = urls.includes(name) && /^\\s*(javascript|data):/i.test(value);
      if (name.startsWith("on") || name === "srcdoc" || isScript) {
        found.push(element.tagName + " " + name + "=" + value);
      }
    }
  }
  for (const { src } of document.scripts) {
    if (!own.includes(new URL(src, location).pathname)) found.push("script " + src);
  }
  for (const { href } of document.querySelectorAll("a[href], link[href]")) {
    if (new URL(href, location).origin !== location.origin) found.push("link " + href);
  }
  return found;
})()`;

/** The service takes no commas and no control characters in an id. */
const isId = (text: string): boolean => !/[,\p{Cc}]/u.test(text);

const deep = (inside: string, levels: number): string => "[".repeat(levels) + inside + "]".repeat(levels);

let browser: Browser;
let service: Service;
let page: Page;
/** URLs that the page has asked for outside of its own origin. */
let strangers: string[];
let crashes: string[];

beforeAll(async () => {
  [browser, service] = await Promise.all([
    launchBrowser(),
    startService({
      config: {
        channels: { allowed: ["*"] },
        limits: { max_connections_per_address: 100, max_requests_per_minute_per_address: 0 },
      },
    }),
  ]);
});

beforeEach(async () => {
  ({ page } = await openPage(browser));
  strangers = [];
  crashes = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(`${service.url}/`)) {
      strangers.push(request.url());
    }
  });
  page.on("pageerror", (error) => crashes.push(String(error)));
  page.on("dialog", (dialog) => {
    crashes.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(WATCH);
});

afterEach(() => page.context().close());

afterAll(async () => {
  await browser.close();
  await service.stop();
});

async function damage(): Promise<Damage> {
  return {
    attacks: await page.evaluate<number>("attacks"),
    violations: await page.evaluate<string[]>("violations"),
    injected: await page.evaluate<string[]>(INJECTED),
  };
}

async function expectUnharmed(): Promise<void> {
  expect(await damage()).toEqual(UNHARMED);
  expect(strangers).toEqual([]);
  expect(crashes).toEqual([]);
}

async function openConsole(query: string): Promise<void> {
  await page.goto(`${service.url}/${query}`);
  await page.getByText("Connected", { exact: true }).waitFor({ timeout: 20_000 });
}

/** The text of the chosen event, as the inspector shows it. */
async function inspect(id: number): Promise<string> {
  await page.locator(`#event-${id}`).click();
  await page.locator("#inspector").getByText("Stored").waitFor();
  return (await page.locator("#inspector pre").textContent()) ?? "";
}

describe("the watch of these tests", () => {
  it("notices an element, an attribute, a script that runs, and a violation", async () => {
    await openConsole("?channel=watch");
    await page.evaluate(`{
      document.body.append(document.createElement("img"));
      document.body.setAttribute("srcdoc", "x");
      const link = document.createElement("a");
      link.href = "javascript:attack()";
      document.body.append(link);
      try { document.body.insertAdjacentHTML("beforeend", "<b>x</b>"); } catch {}
      attack();
    }`);
    const { attacks, violations, injected } = await damage();
    expect(attacks).toBe(1);
    expect(violations.join()).toContain("trusted-types");
    expect(injected).toEqual([
      "<img>",
      "BODY srcdoc=x",
      "A href=javascript:attack()",
      "link javascript:attack()",
    ]);
  });
});

describe("a hostile event", () => {
  it("of which every text is markup is shown as text", async () => {
    const events = HOSTILE.map((text) => ({ type: "hostile", data: { [text]: [text, { text }] } }));
    await service.publish(events, "data");
    await openConsole("?channel=data");
    await service.publish(
      HOSTILE.map((data) => ({ type: "hostile", data })),
      "data",
    );
    await page.locator(`#event-${2 * HOSTILE.length}`).waitFor();
    for (const [index, text] of HOSTILE.entries()) {
      expect(await inspect(index + 1)).toBe(JSON.stringify({ [text]: [text, { text }] }, null, 2));
      expect(await inspect(HOSTILE.length + index + 1)).toBe(JSON.stringify(text));
    }
    // A row has four cells, and none of them has a child.
    expect(await page.locator(".event").count()).toBe(2 * HOSTILE.length);
    expect(await page.locator(".event > *").count()).toBe(2 * HOSTILE.length * 4);
    expect(await page.locator(".event > * > *").count()).toBe(0);
    expect(await page.locator("#inspector pre :not(span)").count()).toBe(0);
    await expectUnharmed();
  });

  it("whose type is a name of JavaScript's own is shown like any other", async () => {
    await openConsole("?channel=types");
    await service.publish(
      ODD_TYPES.map((type) => ({ type, data: { [type]: type } })),
      "types",
    );
    await page.locator(`#event-${ODD_TYPES.length}`).waitFor();
    for (const [index, type] of ODD_TYPES.entries()) {
      expect(await page.locator(`#event-${index + 1} .chip`).textContent()).toBe(type);
      expect(await inspect(index + 1)).toContain(JSON.stringify(type));
      await page.getByLabel("Type", { exact: true }).fill(type);
    }
    await expectUnharmed();
  });

  it("whose type is markup is refused by the service, and shown as text by the console", async () => {
    for (const type of HOSTILE) {
      expect((await service.post(JSON.stringify({ type, data: null }))).status).toBe(400);
    }
    // Answers that another service might give.
    await page.route("**/api/history?**", async (route) => {
      const answer = await route.fetch();
      const events = HOSTILE.map((type, index) => ({
        id: String(index + 1),
        type,
        data: null,
        published_at: "2026-11-24T10:00:00.000Z",
      }));
      await route.fulfill({ response: answer, json: { ...(await answer.json()), events } });
    });
    await openConsole("?channel=types-of-others");
    expect(await page.locator(".event .chip").allTextContents()).toEqual(HOSTILE.toReversed());
    await page.locator("#event-1").click();
    await page.getByRole("button", { name: "Filter by type" }).waitFor();
    await expectUnharmed();
  });

  it("whose ids are markup becomes a filter, in the address and in the snippets, and stays text", async () => {
    const ids = HOSTILE.filter(isId);
    await service.publish(
      ids.map((id) => ({ type: "hostile", data: { project_id: id, agent_id: id } })),
      "ids",
    );
    for (const [index, id] of ids.entries()) {
      await openConsole("?channel=ids");
      await inspect(index + 1);
      await page.getByRole("button", { name: "Filter by agent" }).click();
      await page.getByText("1 received", { exact: true }).waitFor();
      expect(await page.getByLabel("Agents").inputValue()).toBe(id);
      expect(new URL(page.url()).searchParams.get("agent_id")).toBe(id);
      for (const name of ["curl", "EventSource", "SSEClient", "HTMX"]) {
        await page.getByRole("tab", { name, exact: true }).click();
        expect(await page.locator("#snippet *").count()).toBe(0);
      }
      await expectUnharmed();
    }
  });

  it("of the largest length, depth and width leaves the console usable", async () => {
    const wide = Array.from({ length: 32_000 }, () => 1).join();
    for (const data of [
      JSON.stringify("<b>".repeat(21_000)),
      JSON.stringify("\\".repeat(32_000)),
      deep("1", 500),
      deep(wide, 490),
    ]) {
      const { status } = await service.post(`{"type":"huge","data":${data}}`, { query: "?channel=huge" });
      expect(status).toBe(200);
    }
    await openConsole("?channel=huge");
    for (const id of [1, 2, 3, 4]) {
      const shown = await inspect(id);
      expect(shown.length).toBeGreaterThan(500);
      // Indented by two blanks a level, the last one would be 32 million characters.
      expect(shown.length).toBeLessThan(600_000);
    }
    await service.publish({ type: "after", data: "still here" }, "huge");
    expect(await inspect(5)).toBe('"still here"');
    await expectUnharmed();
  });
});

describe("a hostile address", () => {
  it.each([...HOSTILE, "__proto__", "x".repeat(4_000)])(
    "with the channel %j is refused as text",
    async (name) => {
      await page.goto(`${service.url}/?${new URLSearchParams({ channel: name })}`);
      await page.locator("#notice").filter({ hasText: /./ }).waitFor();
      expect(await page.locator("#notice *").count()).toBe(0);
      expect(await page.locator("#channel").inputValue()).toBe(name.replaceAll(/[\r\n]/g, ""));
      expect(await page.locator("#snippet").textContent()).not.toContain(name);
      await expectUnharmed();
    },
  );

  it.each(HOSTILE)("with the filter %j is shown as text", async (text) => {
    const query = new URLSearchParams({ types: text, project_id: text, agent_id: text, since: text });
    await page.goto(`${service.url}/?${query}`);
    await page
      .locator("#link-text")
      .filter({ hasText: /^(Connected|Disconnected)$/ })
      .waitFor();
    for (const name of ["curl", "EventSource", "SSEClient", "HTMX"]) {
      await page.getByRole("tab", { name, exact: true }).click();
      expect(await page.locator("#snippet *").count()).toBe(0);
    }
    await expectUnharmed();
  });
});

describe("a hostile client", () => {
  it("is a row of text in the table, and can be kicked", async () => {
    const texts = HOSTILE.filter(isId);
    const streams = await Promise.all(
      texts.map((text) =>
        service.stream(
          { channel: "clients", project_id: text, agent_id: text },
          { headers: { "User-Agent": "<img src=x onerror=attack()>" } },
        ),
      ),
    );
    await openConsole("?channel=clients");
    await page.getByPlaceholder("ADMIN_TOKEN").fill(adminToken);
    await page.keyboard.press("Enter");
    await page.getByText(`${texts.length + 1} connected`).waitFor();
    const filters = page.locator("#clients-rows td.clip");
    const shown = (await filters.allTextContents()).filter((text) => text !== "all");
    expect(shown.toSorted()).toEqual(texts.map((text) => `project ${text} · agent ${text}`).toSorted());
    expect(await filters.locator("*").count()).toBe(0);
    await expectUnharmed();

    await page.getByRole("row").filter({ hasText: HOSTILE[0] }).getByRole("button").click();
    await page.getByText(`${texts.length} connected`).waitFor();
    await streams[0]?.untilClosed();
    await expectUnharmed();
  });
});

describe("a hostile problem", () => {
  it("is shown as text in every place of the console", async () => {
    await openConsole("?channel=problems");
    const text = HOSTILE.join(" ");
    const problem = {
      status: 400,
      contentType: "application/problem+json",
      body: JSON.stringify({ type: text, title: text, status: 400, detail: text, code: text }),
    };
    await page.route(/\/api\/(publish|admin|history|events)|\/health/, (route) => route.fulfill(problem));

    await page.getByLabel("Publish token").fill(publishToken);
    await page.getByRole("button", { name: "Publish" }).click();
    await page.getByPlaceholder("ADMIN_TOKEN").fill(adminToken);
    await page.getByRole("button", { name: "Show" }).click();
    await page.getByRole("button", { name: "Drain…" }).click();
    await page.locator("#drain-dialog").getByRole("button", { name: "Drain", exact: true }).click();
    for (const id of ["publish-outcome", "clients-note", "drain-outcome"]) {
      await page.locator(`#${id}`).filter({ hasText: "attack()" }).waitFor();
      expect(await page.locator(`#${id}`).textContent()).toBe(`${text}. ${text}`);
    }
    await page.keyboard.press("Escape");
    await page.getByLabel("Types").fill("other");
    await page.keyboard.press("Enter");
    await page.locator("#notice").filter({ hasText: "attack()" }).waitFor();
    expect(await page.locator("#notice *").count()).toBe(0);
    await expectUnharmed();
  });
});
