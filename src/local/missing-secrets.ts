import { jwtSecretsOf } from "../auth/jwt-secret.ts";
import { tokensOf } from "../auth/static-token.ts";
import type { AuthConfig } from "../config/schema.ts";

/** A secret that the configuration needs and that is not set. The routes that it guards accept no token. */
export interface MissingSecret {
  readonly secret: string;
  /** The keys of config.yaml that need the secret. */
  readonly needed_by: readonly string[];
  readonly detail: string;
}

/** Lists the secrets that the configuration needs, that are not set, and that are never generated. */
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
      "no JWT is accepted: set JWT_SECRET (at least 32 bytes) in .dev.vars or in the environment";
    missing.push({ secret: "JWT_SECRET", needed_by: groups.map((group) => `auth.${group}`), detail });
  }
  return missing;
}
