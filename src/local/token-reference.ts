import { readFileSync } from "node:fs";

import type { TokenReference } from "./curl.ts";
import { quote } from "./shell-word.ts";

export interface TokenSources {
  /** `.dev.vars`. */
  readonly file: string;
  /** Its variables take precedence over the file. */
  readonly env: NodeJS.ProcessEnv;
}

/** Returns a `TokenReference` for output that must not show tokens: the shell looks the token up. */
export function referTo({ file, env }: TokenSources): TokenReference {
  const text = readFileSync(file, "utf8");
  return (secret, token) => {
    const given = env[secret];
    return given === undefined ? fromFile(file, text, secret, token) : fromEnvironment(secret, given, token);
  };
}

function fromEnvironment(secret: string, given: string, token: string): string {
  if (given === token) {
    return `$${secret}`;
  }
  return given.startsWith(`${token},`)
    ? `\${${secret}%%,*}`
    : `$(printf %s "$${secret}" | tr , '\\n' | sed -n 's/^[[:space:]]*//; s/[[:space:]]*$//; /./{p;q;}')`;
}

/** `sed` reads a plain line of the file. If the line has quotes or spaces, Node parses the file. */
function fromFile(file: string, text: string, secret: string, token: string): string {
  const lines = text.split("\n").filter((line) => line.includes(secret));
  const [line = ""] = lines;
  const value = line.slice(secret.length + 1);
  const isPlain = lines.length === 1 && line.startsWith(`${secret}=`) && /^[\w.~+/=,-]+$/.test(value);
  if (isPlain && value === token) {
    return `$(sed -n 's/^${secret}=//p' ${quote(file)})`;
  }
  if (isPlain && value.startsWith(`${token},`)) {
    return `$(sed -n 's/,.*//; s/^${secret}=//p' ${quote(file)})`;
  }
  const script = `util.parseEnv(fs.readFileSync(process.argv[1],"utf8")).${secret}.split(",").map(t=>t.trim()).find(Boolean)`;
  return `$(${quote(process.execPath)} -p ${quote(script)} ${quote(file)})`;
}
