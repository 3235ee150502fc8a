import { bearerToken } from "../../auth/bearer.ts";
import type { Group } from "../../auth/claims.ts";
import { cookieToken, mayUseCookie } from "../../auth/cookie.ts";
import { WHOLE } from "../../auth/grant.ts";
import type { VerifiedToken } from "../../auth/jwt.ts";
import { KeysStillUnavailableError, KeysUnavailableError } from "../../auth/key-set-fetch.ts";
import { matchToken, tokensOf } from "../../auth/static-token.ts";
import type { Secrets } from "../host.ts";
import { Problem } from "../response/problem.ts";
import type { Service } from "../service.ts";
import { ANYBODY, type Principal } from "./principal.ts";

/** The secret of each group that accepts `token`. */
const SECRETS = {
  publish: "PUBLISH_TOKEN",
  subscribe: "SUBSCRIBE_TOKEN",
  admin: "ADMIN_TOKEN",
  metrics: "METRICS_TOKEN",
} as const satisfies Record<Group, keyof Secrets>;

/**
 * Finds out who makes a request, and lets nobody through whom config.yaml does not.
 *
 * @throws Problem `not_configured`, `unauthorized`, `origin_not_allowed`, `forbidden` or `keys_unavailable`
 */
export async function authorize(request: Request, service: Service, group: Group): Promise<Principal> {
  const { config, secrets } = service.host;
  const accepted: readonly string[] = config.auth[group];
  if (accepted.includes("public")) {
    return ANYBODY;
  }
  const secret = accepted.includes("token") ? secrets[SECRETS[group]] : undefined;
  const verifier = accepted.includes("jwt") ? service.jwt : null;
  if (tokensOf(secret).length === 0 && verifier?.isConfigured !== true) {
    const lacking = accepted.includes("token") ? SECRETS[group] : "key for its tokens";
    throw new Problem("not_configured", `This deployment has no ${lacking}.`);
  }
  const token = tokenOf(request, service);
  const place = secret === undefined ? null : await matchToken(token, secret);
  const principal =
    place === null
      ? principalOf(verifier === null ? null : await verify(service, token), group)
      : { subject: `${SECRETS[group]} ${place}`, grant: WHOLE, endsAt: null };
  service.proven.add(request);
  return principal;
}

/**
 * Lets a request through that carries the one token of its route.
 *
 * @throws Problem `unauthorized`
 */
export async function requireToken(request: Request, service: Service, expected: string): Promise<void> {
  const given = bearerToken(request.headers.get("Authorization"));
  if (given === null || (await matchToken(given, expected)) === null) {
    throw unauthorized();
  }
  service.proven.add(request);
}

/** A refusal that tells nothing: not even whether a token was no good or is over. */
export function unauthorized(): Problem {
  return new Problem("unauthorized", "A valid token is needed: Authorization: Bearer <token>.");
}

/** The `Authorization` header counts, and only without one the cookie. */
function tokenOf(request: Request, service: Service): string {
  const authorization = request.headers.get("Authorization");
  if (authorization !== null) {
    return bearerToken(authorization) ?? refuse();
  }
  const token = cookieToken(request.headers.get("Cookie")) ?? refuse();
  if (!mayUseCookie(request, service.host.config.cors.allowed_origins)) {
    throw new Problem("origin_not_allowed", "A cookie does not count in a request of this origin.");
  }
  return token;
}

function refuse(): never {
  throw unauthorized();
}

async function verify(service: Service, token: string): Promise<VerifiedToken | null> {
  try {
    return await service.jwt.verify(token);
  } catch (error) {
    if (!(error instanceof KeysUnavailableError)) {
      throw error;
    }
    if (!(error.cause instanceof KeysStillUnavailableError)) {
      service.host.logger("error", "keys_unavailable", { error: String(error.cause ?? error) });
    }
    throw new Problem("keys_unavailable", "Tokens cannot be verified just now.");
  }
}

function principalOf(verified: VerifiedToken | null, group: Group): Principal {
  if (verified === null) {
    throw unauthorized();
  }
  const grant = verified.grants?.[group];
  if (grant === undefined) {
    throw new Problem("forbidden", `This token does not grant: ${group}.`);
  }
  return { subject: verified.subject, grant, endsAt: verified.endsAt };
}
