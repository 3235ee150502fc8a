import { waitUntil } from "cloudflare:workers";
import { bearerToken } from "../auth/bearer.ts";
import type { Group } from "../auth/claims.ts";
import { cookieToken, mayUseCookie } from "../auth/cookie.ts";
import { WHOLE, type Grant } from "../auth/grant.ts";
import { createJwtVerifier, type JwtVerifier, type VerifiedToken } from "../auth/jwt.ts";
import type { KeyHost } from "../auth/keys.ts";
import { KeysStillUnavailableError, KeysUnavailableError } from "../auth/key-set-fetch.ts";
import { matchToken, tokensOf } from "../auth/static-token.ts";
import { HubError } from "../hub/errors.ts";
import type { Env } from "./env.ts";
import { workerLogger } from "./worker-logger.ts";

/** Who makes a request, as far as its group of routes is concerned. */
export interface Principal {
  /** Tells principals apart, where something is counted for each; null: anybody. */
  readonly subject: string | null;
  readonly grant: Grant;
  /** When what let it in ends, in ms since the epoch; null: never. */
  readonly endsAt: number | null;
}

const ANYBODY: Principal = { subject: null, grant: WHOLE, endsAt: null };

/** The secret of each group that accepts `token`. */
const SECRETS = {
  publish: "PUBLISH_TOKEN",
  subscribe: "SUBSCRIBE_TOKEN",
  admin: "ADMIN_TOKEN",
  metrics: "METRICS_TOKEN",
} as const satisfies Record<Group, keyof Env>;

/**
 * Finds out who makes a request, and lets nobody through whom config.yaml does not.
 *
 * @throws HubError `not_configured`, `unauthorized`, `origin_not_allowed`, `forbidden` or `keys_unavailable`
 */
export async function authorize(request: Request, env: Env, group: Group): Promise<Principal> {
  const accepted: readonly string[] = env.AUTH[group];
  if (accepted.includes("public")) {
    return ANYBODY;
  }
  const secret = accepted.includes("token") ? env[SECRETS[group]] : undefined;
  const verifier = accepted.includes("jwt") ? verifierOf(env) : null;
  if (tokensOf(secret).length === 0 && verifier?.isConfigured !== true) {
    const lacking = accepted.includes("token") ? SECRETS[group] : "key for its tokens";
    throw new HubError("not_configured", `This deployment has no ${lacking}.`);
  }
  const token = tokenOf(request, env);
  const place = secret === undefined ? null : await matchToken(token, secret);
  const principal =
    place === null
      ? principalOf(verifier === null ? null : await verify(verifier, token, env), group)
      : { subject: `${SECRETS[group]} ${place}`, grant: WHOLE, endsAt: null };
  proven.add(request);
  return principal;
}

/** Requests whose credential was found valid for their route. */
const proven = new WeakSet<Request>();

/** Whether a request carried a credential that its route has accepted. */
export function hasProvenCredential(request: Request): boolean {
  return proven.has(request);
}

/**
 * Lets a request through that carries the one token of its route.
 *
 * @throws HubError `unauthorized`
 */
export async function requireToken(request: Request, expected: string): Promise<void> {
  const given = bearerToken(request.headers.get("Authorization"));
  if (given === null || (await matchToken(given, expected)) === null) {
    throw unauthorized();
  }
  proven.add(request);
}

/** A refusal that tells nothing: not even whether a token was no good or is over. */
export function unauthorized(): HubError {
  return new HubError("unauthorized", "A valid token is needed: Authorization: Bearer <token>.");
}

/** The `Authorization` header counts, and only without one the cookie. */
function tokenOf(request: Request, env: Env): string {
  const authorization = request.headers.get("Authorization");
  if (authorization !== null) {
    return bearerToken(authorization) ?? refuse();
  }
  const token = cookieToken(request.headers.get("Cookie")) ?? refuse();
  if (!mayUseCookie(request, env.CORS.allowed_origins)) {
    throw new HubError("origin_not_allowed", "A cookie does not count in a request of this origin.");
  }
  return token;
}

function refuse(): never {
  throw unauthorized();
}

async function verify(verifier: JwtVerifier, token: string, env: Env): Promise<VerifiedToken | null> {
  try {
    return await verifier.verify(token);
  } catch (error) {
    if (!(error instanceof KeysUnavailableError)) {
      throw error;
    }
    if (!(error.cause instanceof KeysStillUnavailableError)) {
      workerLogger(env.LOGGING.level)("error", "keys_unavailable", { error: String(error.cause ?? error) });
    }
    throw new HubError("keys_unavailable", "Tokens cannot be verified just now.");
  }
}

function principalOf(verified: VerifiedToken | null, group: Group): Principal {
  if (verified === null) {
    throw unauthorized();
  }
  const grant = verified.grants?.[group];
  if (grant === undefined) {
    throw new HubError("forbidden", `This token does not grant: ${group}.`);
  }
  return { subject: verified.subject, grant, endsAt: verified.endsAt };
}

const keyHost: KeyHost = { fetch: (...request) => fetch(...request), keepAlive: waitUntil };

/** One for each isolate: it keeps the keys. */
const verifiers = new WeakMap<
  object,
  { readonly secret: string | undefined; readonly verifier: JwtVerifier }
>();

function verifierOf({ AUTH, JWT_SECRET: secret }: Env): JwtVerifier {
  const known = verifiers.get(AUTH);
  if (known !== undefined && known.secret === secret) {
    return known.verifier;
  }
  const verifier = createJwtVerifier(AUTH.jwt, secret, keyHost);
  verifiers.set(AUTH, { secret, verifier });
  return verifier;
}
