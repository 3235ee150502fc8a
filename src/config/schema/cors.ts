import { z } from "zod";

import { reportRepeated, section } from "./parts.ts";

/** An origin as a browser sends it, or one with `*.` before a domain of at least two labels. It has no path. */
const ORIGIN_PATTERN =
  /^https?:\/\/(?:\*\.(?=[^.]+\.))?(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/;

/** Pages of other origins. */
export const cors = section({
  /**
   * Origins whose pages may read and send cookies: `https://app.example.com`, or `https://*.example.com` for all
   * direct and indirect subdomains. Other origins get no CORS headers. A cookie in a request with an `Origin` header
   * is accepted only from these origins. At most 100. Default none.
   */
  allowed_origins: z
    .array(
      z.string().refine(isOrigin, {
        error: "an origin such as https://app.example.com or https://*.example.com",
      }),
      {
        error: "a list of origins",
      },
    )
    .max(100, { error: "at most 100 origins" })
    .superRefine(reportRepeated("an origin that is not in the list yet"))
    .default([]),
});

/** Refuses an origin that no browser sends, such as one with the default port of its scheme: it would never match. */
function isOrigin(value: string): boolean {
  const example = value.replace("*.", "any.");
  return ORIGIN_PATTERN.test(value) && URL.canParse(example) && new URL(example).origin === example;
}
