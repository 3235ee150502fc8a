import { z } from "zod";

import { reportRepeated, section } from "./parts.ts";

/** A host name, one with `*.` before it, or `*`. It has no port, because the port is that of the listener. */
const HOST_PATTERN = /^(?:\*|(?:\*\.)?[a-z0-9_][a-z0-9_-]{0,62}(?:\.[a-z0-9_][a-z0-9_-]{0,62})*)$/;

/** Host names, for `npm start` only. On Cloudflare, the platform knows the names of a Worker. */
export const hosts = section({
  /**
   * Host names that `npm start` accepts besides IP addresses, `localhost`, names below `localhost`, and `--host`. An
   * entry is a name (`sse.example.com`, for example the one that a proxy sends), all direct and indirect subdomains
   * of a name (`*.example.com`), or `"*"` for any name. A request for another name is answered with 400: otherwise
   * the page of an attacker could use a name that resolves to this machine (DNS rebinding). At most 100. Default
   * none.
   */
  allowed: z
    .array(
      z.string().regex(HOST_PATTERN, {
        error: 'a host name in lower case such as sse.example.com, *.example.com, or "*"',
      }),
      { error: "a list of host names" },
    )
    .max(100, { error: "at most 100 host names" })
    .superRefine(reportRepeated("a host name that is not in the list yet"))
    .default([]),
});
