import type { ConfigBindings } from "./bindings.ts";

const FIRST_LINE = "# >>> generated from config.yaml by `npm run config`: change it there, not here";
const LAST_LINE = "# <<< generated";

/** Tells the rate limits of one account apart: any whole number that no other Worker of it uses for something else. */
const RATE_LIMIT_NAMESPACE = "8787";

/**
 * The configuration as `[vars]` of wrangler.toml: one table each, which reaches the Worker as an object. And what cannot
 * be a variable: the platform's own limit of requests, which refuses a flood before it gets to an object.
 */
export function renderVars(bindings: ConfigBindings): string {
  const tables = Object.entries(bindings).map(
    ([name, values]) =>
      `[vars.${name}]\n${Object.entries(values)
        .map(([key, value]) => `${key} = ${tomlValue(value)}\n`)
        .join("")}`,
  );
  const blocks = [...tables, ...rateLimits(bindings)];
  return `${FIRST_LINE}\n${blocks.join("\n")}${LAST_LINE}\n`;
}

function rateLimits({ LIMITS }: ConfigBindings): readonly string[] {
  const limit = LIMITS.max_requests_per_minute_per_address;
  const simple = `{ limit = ${limit}, period = 60 }`;
  return limit === 0
    ? []
    : [
        `[[ratelimits]]\nname = "REQUEST_RATE"\nnamespace_id = "${RATE_LIMIT_NAMESPACE}"\nsimple = ${simple}\n`,
      ];
}

/** wrangler.toml with the generated block replaced, or added at its end; not another byte is touched. */
export function withVars(toml: string, block: string): string {
  const lineEnd = toml.includes("\r\n") ? "\r\n" : "\n";
  const lines = block.replaceAll("\n", lineEnd);
  const found = blockOf(toml);
  if (found === undefined) {
    const gap = toml === "" ? "" : toml.endsWith("\n") ? lineEnd : lineEnd.repeat(2);
    return `${toml}${gap}${lines}`;
  }
  return toml.slice(0, found.start) + lines + toml.slice(found.end);
}

/** The marks around the block have been damaged by hand; guessing could eat what stands beside them. */
export class DamagedBlockError extends Error {}

function blockOf(toml: string): { start: number; end: number } | undefined {
  const first = offsetsOf(toml, FIRST_LINE);
  const last = offsetsOf(toml, LAST_LINE);
  if (first.length === 0 && last.length === 0) {
    return undefined;
  }
  const [start] = first;
  const [close] = last;
  if (start === undefined || close === undefined || first.length > 1 || last.length > 1 || close < start) {
    throw new DamagedBlockError(`expected one line "${FIRST_LINE}" and, below it, one line "${LAST_LINE}"`);
  }
  const lineEnd = toml.indexOf("\n", close);
  return { start, end: lineEnd === -1 ? toml.length : lineEnd + 1 };
}

/** Where a whole line of that text begins. */
function offsetsOf(toml: string, line: string): number[] {
  let offset = 0;
  return toml.split("\n").flatMap((text) => {
    const here = offset;
    offset += text.length + 1;
    return text.trimEnd() === line ? [here] : [];
  });
}

function tomlValue(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(tomlValue).join(", ")}]`;
  }
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).map(([key, inner]) => `${tomlText(key)} = ${tomlValue(inner)}`);
    return `{ ${entries.join(", ")} }`;
  }
  return typeof value === "string" ? tomlText(value) : String(value);
}

/** JSON's escapes are TOML's, but for DEL, which TOML wants escaped as well. */
function tomlText(text: string): string {
  return JSON.stringify(text).replaceAll("\u007F", String.raw`\u007F`);
}
