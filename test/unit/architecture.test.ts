import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

import { describe, expect, it } from "vitest";

interface Import {
  /** The file that imports, from the root of the project. */
  readonly from: string;
  /** A file from the root of the project, or a module. */
  readonly to: string;
  readonly isTypeOnly: boolean;
}

interface Room {
  /** Rooms that may be imported. */
  readonly rooms: readonly string[];
  /** Rooms of which only types may be imported. */
  readonly types?: readonly string[];
  readonly modules?: RegExp;
}

/** Everything that the service may see of the domain. */
const DOMAIN = ["sse", "hub", "hub/log", "hub/audience", "auth"];

/**
 * Which room may import which. Imports flow one way: `sse, wire <- hub <- relay <- service <- sql <- edge, deno <- index`. Inside of `hub`,
 * the log and the audience know the words of the hub but not the hub itself, and the audience knows of the log only its
 * view. Inside of `service`, only the router knows the routes, and the responses know none of the other folders.
 */
const ROOMS: Readonly<Record<string, Room>> = {
  sse: { rooms: [], modules: /^eventsource-parser$/ },
  wire: { rooms: [] },
  auth: { rooms: ["hub"], types: ["config"], modules: /^jose$/ },
  hub: { rooms: ["sse", "hub/log", "hub/audience"] },
  "hub/log": { rooms: ["sse", "hub"] },
  "hub/audience": { rooms: ["sse", "hub"], types: ["wire", "hub/log"] },
  relay: { rooms: ["sse", "hub", "hub/log", "hub/audience"], types: ["wire"] },
  client: { rooms: ["sse"], types: ["wire"] },
  console: { rooms: [], types: ["wire"], modules: /^(?:\/sse-client\.js|uplot)$/ },
  htmx: { rooms: [], modules: /^\/sse-client\.js$/ },
  config: { rooms: ["config/schema"], modules: /^(?:zod|yaml)$/ },
  "config/schema": { rooms: ["config"], modules: /^zod$/ },
  service: {
    rooms: [...DOMAIN, "service/routes", "service/request", "service/access", "service/response"],
    types: ["config", "relay"],
    modules: /^itty-router$/,
  },
  "service/routes": {
    rooms: [...DOMAIN, "service", "service/request", "service/access", "service/response"],
    types: ["wire"],
    modules: /^(?:itty-router|negotiator)$/,
  },
  "service/access": {
    rooms: [...DOMAIN, "service/response"],
    types: ["wire", "service", "service/request"],
    modules: /^ipaddr\.js$/,
  },
  "service/request": {
    rooms: [...DOMAIN, "service/access", "service/response"],
    types: ["wire"],
    modules: /^ipaddr\.js$/,
  },
  "service/response": { rooms: DOMAIN, types: ["config", "wire"] },
  // SQLite as every host has it: the log, the directory and the tickets, without a runtime.
  sql: { rooms: ["hub", "hub/log", "auth"], types: ["relay", "service", "service/access"] },
  edge: {
    rooms: [...DOMAIN, "relay", "sql", "service", "service/response"],
    types: ["config", "service/access"],
    modules: /^cloudflare:workers$/,
  },
  deno: {
    rooms: [...DOMAIN, "relay", "sql", "assets", "service", "service/response", "deno/rpc"],
    types: ["config"],
    modules: /^node:(?:fs|fs\/promises|path|process|readline|sqlite|timers\/promises)$/,
  },
  // The calls between the processes, over the fetch API alone.
  "deno/rpc": { rooms: ["hub", "auth", "service"], types: ["relay"] },
  index: { rooms: ["edge"], modules: /^$/ },
  // The static files as Cloudflare serves them, for where no platform does.
  assets: { rooms: [] },
  local: { rooms: ["config", "auth"], types: ["deno"], modules: /^(?:node:.+|esbuild)$/ },
  "local/workerd": { rooms: ["assets"] },
};

/** The one file outside of `src` that something in it reads: the version comes from there. */
const OUTSIDE = [{ from: "src/service/routes/health.ts", to: "package.json" }];

const FILES = globSync("src/**/*.ts").toSorted();
const IMPORTS = FILES.flatMap(importsOf);

const read = new Map<string, readonly Import[]>();

/** The same, read once for each file. */
function importsFrom(file: string): readonly Import[] {
  const imports = read.get(file) ?? importsOf(file);
  read.set(file, imports);
  return imports;
}

/** Static imports, re-exports and dynamic imports, as they are written at the start of a line or in an expression. */
function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8");
  const found = [
    ...text.matchAll(/^(?:import|export)\s+(type\s)?[^;"'`]*?\bfrom\s+"([^"]+)"/gm),
    ...text.matchAll(/^import\s+()"([^"]+)"/gm),
    ...text.matchAll(/\bimport\(\s*()"([^"]+)"/g),
  ];
  return found.map(([, type, specifier = ""]) => ({
    from: file,
    to: specifier.startsWith(".") ? normalize(join(dirname(file), specifier)) : specifier,
    isTypeOnly: Boolean(type),
  }));
}

function roomOf(file: string): string {
  const parts = file.split("/").slice(1, -1);
  return parts.length === 0 ? file.replace(/^src\/|\.ts$/g, "") : parts.join("/");
}

function isAllowed({ from, to, isTypeOnly }: Import): boolean {
  const own = roomOf(from);
  const { rooms, types = [], modules } = ROOMS[own] ?? { rooms: [] };
  if (!to.startsWith("src/")) {
    return OUTSIDE.some((known) => known.from === from && known.to === to) || (modules?.test(to) ?? false);
  }
  const other = roomOf(to);
  return other === own || rooms.includes(other) || (isTypeOnly && types.includes(other));
}

/** Files and modules that are loaded with a file; on request, those too of which only types are imported. */
function reachedFrom(file: string, withTypes = false, reached = new Set<string>()): ReadonlySet<string> {
  for (const { to, isTypeOnly } of importsFrom(file)) {
    if ((withTypes || !isTypeOnly) && !reached.has(to)) {
      reached.add(to);
      if (to.endsWith(".ts")) {
        reachedFrom(to, withTypes, reached);
      }
    }
  }
  return reached;
}

function told({ from, to }: Import): string {
  return `${from} imports ${to}`;
}

describe("the architecture", () => {
  it("has these rooms and no other", () => {
    expect(FILES.length).toBeGreaterThan(40);
    expect(FILES.filter((file) => !Object.hasOwn(ROOMS, roomOf(file)))).toEqual([]);
  });

  it("is seen by this test, which finds every import that is written", () => {
    const hubObject = IMPORTS.filter(({ from }) => from === "src/edge/hub-object.ts").map(({ to }) => to);
    expect(hubObject).toContain("src/hub/hub.ts");
    expect(hubObject).toContain("cloudflare:workers");
    expect(IMPORTS.filter(({ from }) => from === "src/index.ts")).toHaveLength(6);
    expect(IMPORTS).toContainEqual({
      from: "src/edge/config.ts",
      to: "src/config/schema.ts",
      isTypeOnly: true,
    });
    const written = FILES.map((file) => readFileSync(file, "utf8").match(/\bfrom "/g)?.length ?? 0);
    expect(IMPORTS.length).toBeGreaterThanOrEqual(written.reduce((sum, each) => sum + each, 0));
  });

  it("lets imports flow one way", () => {
    expect(IMPORTS.filter((each) => !isAllowed(each)).map(told)).toEqual([]);
  });

  it("shows the audience nothing of the log but its view", () => {
    const seen = IMPORTS.filter(
      ({ from, to }) => roomOf(from) === "hub/audience" && roomOf(to) === "hub/log",
    );
    expect(new Set(seen.map(({ to }) => to))).toEqual(new Set(["src/hub/log/log-view.ts"]));
  });

  it("keeps the hub out of its own rooms", () => {
    const inside = IMPORTS.filter(({ from, to }) => to === "src/hub/hub.ts" && from.startsWith("src/hub/"));
    expect(inside.map(told)).toEqual([]);
  });

  it("names the types of Durable Objects in edge only", () => {
    const strangers = FILES.filter(
      (file) => roomOf(file) !== "edge" && /\bDurableObject\w*/.test(readFileSync(file, "utf8")),
    );
    expect(strangers).toEqual([]);
  });

  it("keeps Cloudflare in edge, Deno in deno, and Node in these and local", () => {
    const strangers = IMPORTS.filter(
      ({ from, to }) =>
        (to.startsWith("cloudflare:") && roomOf(from) !== "edge") ||
        (to.startsWith("node:") && !["local", "deno"].includes(roomOf(from))),
    );
    const users = FILES.filter((file) => /\bDeno\.[a-z]/.test(readFileSync(file, "utf8")));
    expect(strangers.map(told)).toEqual([]);
    expect(users).toEqual(["src/deno/main.ts"]);
  });

  it("keeps the compiler of the configuration and its packages out of the Worker", () => {
    const reached = [...reachedFrom("src/index.ts")];
    expect(reached).toContain("src/hub/hub.ts");
    expect(reached.filter((each) => /^src\/(?:config|local|deno)|^(?:zod|yaml|node:.*)$/.test(each))).toEqual(
      [],
    );
  });

  it("keeps Cloudflare and the compiler of the configuration out of the process on Deno", () => {
    const reached = [...reachedFrom("src/deno/main.ts")];
    expect(reached).toContain("src/hub/hub.ts");
    expect(
      reached.filter((each) => /^src\/(?:config|local|edge)|^(?:zod|yaml|cloudflare:.*)$/.test(each)),
    ).toEqual([]);
  });

  it("has no circle of imports, not even of types", () => {
    const circles = FILES.filter((file) => reachedFrom(file, true).has(file));
    expect(circles).toEqual([]);
  });

  it("names files as they are: every import ends in its extension and exists", () => {
    const relative = IMPORTS.filter(({ to }) => to.startsWith("src/"));
    expect(relative.filter(({ to }) => !FILES.includes(to)).map(told)).toEqual([]);
  });

  it("has a unit lane that needs no runtime", () => {
    const tests = globSync("test/unit/{sse,hub,relay,auth,service,sql,edge}/**/*.test.ts");
    const needy = tests.filter((test) =>
      [...reachedFrom(test)].some((each) => each.startsWith("cloudflare:")),
    );
    expect(tests.length).toBeGreaterThan(20);
    expect(needy).toEqual([]);
  });
});
