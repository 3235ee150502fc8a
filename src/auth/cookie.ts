import { isAllowedOrigin } from "./origin.ts";

/**
 * The cookie that carries a token. The prefix makes the browser insist on Secure, Path=/ and this very host: no other
 * subdomain can set or get it. Source: RFC 6265bis, section 4.1.3.2.
 */
const TOKEN_COOKIE = "__Host-edge_sse";

/**
 * The token in a `Cookie` header. Null when there is none, or more than one: then somebody has planted one. Only the
 * white space of HTTP is taken off: with that of Unicode before it the name has no prefix that a browser looks after.
 */
export function cookieToken(header: string | null): string | null {
  const values = (header ?? "")
    .split(";")
    .map(withoutWhiteSpace)
    .filter((pair) => pair.startsWith(`${TOKEN_COOKIE}=`))
    .map((pair) => pair.slice(TOKEN_COOKIE.length + 1));
  return (values.length === 1 && values[0]) || null;
}

/** Loops and no regular expression: one that looks for the blanks at the end begins anew at each blank on the way. */
function withoutWhiteSpace(pair: string): string {
  let start = 0;
  let end = pair.length;
  while (start < end && isWhiteSpace(pair.charCodeAt(start))) {
    start++;
  }
  while (end > start && isWhiteSpace(pair.charCodeAt(end - 1))) {
    end--;
  }
  return pair.slice(start, end);
}

/** OWS. Source: RFC 9110, section 5.6.3. */
function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/**
 * Whether a request's cookie counts: a browser sends it with requests that any page makes. A page says where it is by
 * `Origin`, which then has to be an allowed one; a same-origin EventSource sends none, but `Sec-Fetch-Site` (Fetch
 * Metadata, section 2.4), which no page can forge. Reading by hand, from the address bar, changes nothing.
 */
export function mayUseCookie(
  { method, headers }: { readonly method: string; readonly headers: Headers },
  allowedOrigins: readonly string[],
): boolean {
  const origin = headers.get("Origin");
  if (origin !== null) {
    return isAllowedOrigin(origin, allowedOrigins);
  }
  const site = headers.get("Sec-Fetch-Site");
  return site === "same-origin" || (site === "none" && (method === "GET" || method === "HEAD"));
}
