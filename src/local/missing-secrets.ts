import { jwtSecretsOf } from "../auth/jwt-secret.ts";
import { tokensOf } from "../auth/static-token.ts";
import type { AuthConfig } from "../config/schema.ts";

/** Routes that are closed to those who bring a token, since the secret to compare it with is not there. */
export interface MissingSecret {
  readonly secret: string;
  /** The keys of config.yaml that ask for it. */
  readonly needed_by: readonly string[];
  readonly detail: string;
}

/** The secrets that nobody makes up, and that the configuration asks for in vain. */
export function missingSecrets(
  auth: AuthConfig,
  vars: Readonly<Record<string, string>>,
): readonly MissingSecret[] {
  const missing: MissingSecret[] = [];
  for (const [group, secret] of [
    ["subscribe", "SUBSCRIBE_TOKEN"],
    ["metrics", "METRICS_TOKEN"],
  ] as const) {
    if (auth[group].includes("token") && tokensOf(vars[secret]).length === 0) {
      const detail = `no token is accepted: set ${secret} in .dev.vars or in the environment`;
      missing.push({ secret, needed_by: [`auth.${group}`], detail });
    }
  }
  const groups = (["publish", "subscribe", "admin", "metrics"] as const).filter((group) =>
    auth[group].includes("jwt"),
  );
  if (groups.length > 0 && auth.jwt.algorithm === "HS256" && jwtSecretsOf(vars["JWT_SECRET"]).length === 0) {
    const detail =
      "no JWT is accepted: set JWT_SECRET, of 32 bytes at least, in .dev.vars or in the environment";
    missing.push({ secret: "JWT_SECRET", needed_by: groups.map((group) => `auth.${group}`), detail });
  }
  return missing;
}
