import { z } from "zod";

import { jwt } from "./jwt.ts";
import { section } from "./parts.ts";

/**
 * Access. Each group of routes accepts `public` (anybody), `token` (the secret of the group), `jwt`, or a list of the
 * last two. If a deployment lacks a secret or a key, the group is closed, never open.
 */
export const auth = section({
  /** `POST /api/publish`. Its secret is `PUBLISH_TOKEN`. Default `token`. */
  publish: accepted(["token", "jwt"]).prefault("token"),

  /** `/api/events`, `/api/history` and `/api/tickets`. Their secret is `SUBSCRIBE_TOKEN`. Default `public`. */
  subscribe: accepted(["public", "token", "jwt"]).prefault("public"),

  /** `/api/admin/*`. Its secret is `ADMIN_TOKEN`. Default `token`. */
  admin: accepted(["token", "jwt"]).prefault("token"),

  /**
   * `/metrics`, and the numbers in `/health`. Their secret is `METRICS_TOKEN`. Default `public` if `subscribe` is `public`,
   * else `token`. If this is `public` and `subscribe` is not, the compiler prints a warning.
   */
  metrics: accepted(["public", "token", "jwt"]).optional(),

  jwt: jwt.prefault({}),
})
  .superRefine(({ jwt: { algorithm, jwks, jwks_url }, ...groups }, context) => {
    const takesJwt = Object.values(groups).some((list) => list?.includes("jwt"));
    const sources = [jwks, jwks_url].filter((source) => source !== undefined).length;
    if (algorithm === "HS256" ? sources > 0 : takesJwt && sources !== 1) {
      const message =
        algorithm === "HS256" ? "neither jwks_url nor jwks with HS256" : "exactly one of jwks_url and jwks";
      context.addIssue({ code: "custom", path: ["jwt"], message });
    }
  })
  .transform(({ jwt: tokens, metrics, ...groups }) => ({
    ...groups,
    metrics: metrics ?? (groups.subscribe.includes("public") ? ["public" as const] : ["token" as const]),
    jwt: tokens,
  }));

/** What a group of routes accepts: one word, or a list of them. */
function accepted<const Words extends readonly [string, ...string[]]>(words: Words) {
  const error = `${words.join(", ")}, or a list of them`;
  return z
    .union([z.enum(words), z.array(z.enum(words)).min(1, { error })], { error })
    .transform((one) => [one].flat())
    .superRefine((list, context) => {
      if (new Set(list).size < list.length || (list.length > 1 && list.includes("public"))) {
        const alone = words.includes("public") ? ", and public only by itself" : "";
        context.addIssue({ code: "custom", message: `${error} without repetition${alone}` });
      }
    });
}
