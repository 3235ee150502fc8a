import type { ConfigBindings } from "./bindings.ts";

const FIRST_LINE = "# >>> generated from config.yaml by `npm run config`: change it there, not here";
const LAST_LINE = "# <<< generated";

/**
 * The namespace of the rate limit within the account. No other Worker may use the same number for a different limit.
 */
const RATE_LIMIT_NAMESPACE = "8787";

/**
 * Renders the configuration for wrangler.toml: one `[vars]` table for each section, which the Worker gets as an object,
 * and the platform's rate limit, which refuses a flood before it reaches an object.
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

/** Replaces the generated block in the text of wrangler.toml, or appends it. Changes nothing else. */
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

/** Somebody has damaged the markers around the block. A guess about its extent could delete lines next to it. */
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
    throw new DamagedBlockError(
      `wrangler.toml: expected one line "${FIRST_LINE}" and, below it, one line "${LAST_LINE}"`,
    );
  }
  const lineEnd = toml.indexOf("\n", close);
  return { start, end: lineEnd === -1 ? toml.length : lineEnd + 1 };
}

/** The offsets at which a line with exactly this text begins. */
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

/** JSON and TOML share their escapes, except that TOML requires DEL to be escaped too. */
function tomlText(text: string): string {
  return JSON.stringify(text).replaceAll("\u007F", String.raw`\u007F`);
}
