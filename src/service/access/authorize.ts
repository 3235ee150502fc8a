import { bearerToken } from "../../auth/bearer.ts";
import type { Group } from "../../auth/claims.ts";
import { cookieToken, mayUseCookie } from "../../auth/cookie.ts";
import { WHOLE } from "../../auth/grant.ts";
import type { VerifiedToken } from "../../auth/jwt.ts";
import { KeysStillUnavailableError, KeysUnavailableError } from "../../auth/key-set-fetch.ts";
import { matchToken, tokensOf } from "../../auth/static-token.ts";
import type { Secrets } from "../host.ts";
import { Problem, unauthorized } from "../response/problem.ts";
import type { Service } from "../service.ts";
import { ANYBODY, type Principal } from "./principal.ts";

/** The secret that holds the static tokens of each group of routes. */
const SECRETS = {
  publish: "PUBLISH_TOKEN",
  subscribe: "SUBSCRIBE_TOKEN",
  admin: "ADMIN_TOKEN",
  metrics: "METRICS_TOKEN",
} as const satisfies Record<Group, keyof Secrets>;

/**
 * Identifies the sender of a request to a group of routes. `auth` in config.yaml says which credentials the group accepts.
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
    const missing = accepted.includes("token") ? SECRETS[group] : "JWT_SECRET";
    const detail = `This route is closed until the operator of this deployment sets the secret ${missing}.`;
    throw new Problem("not_configured", detail);
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
 * Accepts one token only.
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

/** The token in the `Authorization` header. Only a request without that header may use the cookie. */
function tokenOf(request: Request, service: Service): string {
  const authorization = request.headers.get("Authorization");
  if (authorization !== null) {
    return bearerToken(authorization) ?? refuse();
  }
  const token = cookieToken(request.headers.get("Cookie")) ?? refuse();
  if (!mayUseCookie(request, service.host.config.cors.allowed_origins)) {
    const detail = "Cookies are not accepted from this origin. Send the token in the Authorization header.";
    throw new Problem("origin_not_allowed", detail);
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
    throw new Problem("keys_unavailable", "The keys that verify tokens cannot be fetched at the moment.");
  }
}

function principalOf(verified: VerifiedToken | null, group: Group): Principal {
  if (verified === null) {
    throw unauthorized();
  }
  const grant = verified.grants?.[group];
  if (grant === undefined) {
    throw new Problem("forbidden", `This token does not grant access to the routes of the group "${group}".`);
  }
  return { subject: verified.subject, grant, endsAt: verified.endsAt };
}
