import { bearerToken, equalTokens } from "../auth/bearer.ts";
import { HubError } from "../hub/errors.ts";

/**
 * Lets a request through that carries the token of its route.
 *
 * @param expected the token; a deployment without it closes the route, it does not open it.
 * @throws HubError `not_configured` or `unauthorized`
 */
export async function requireToken(
  request: Request,
  expected: string | undefined,
  name: string,
): Promise<void> {
  if (expected === undefined || expected === "") {
    throw new HubError("not_configured", `This deployment has no ${name}.`);
  }
  const given = bearerToken(request.headers.get("Authorization"));
  if (given === null || !(await equalTokens(given, expected))) {
    throw new HubError("unauthorized", "A valid token is needed: Authorization: Bearer <token>.");
  }
}
