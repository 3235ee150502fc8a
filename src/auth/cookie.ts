import { isAllowedOrigin } from "./origin.ts";

/**
 * The cookie that carries a token. With this prefix the browser requires Secure, Path=/ and this exact host, so no
 * other subdomain can set or read the cookie. Source: RFC 6265bis, section 4.1.3.2.
 */
const TOKEN_COOKIE = "__Host-edge_sse";

/**
 * The token in a `Cookie` header. Null if there is none, or if there are several: an attacker may have planted one of
 * them. Only the white space of HTTP is trimmed: a browser does not protect a name that starts with other white space.
 */
export function cookieToken(header: string | null): string | null {
  const values = (header ?? "")
    .split(";")
    .map(withoutWhiteSpace)
    .filter((pair) => pair.startsWith(`${TOKEN_COOKIE}=`))
    .map((pair) => pair.slice(TOKEN_COOKIE.length + 1));
  return (values.length === 1 && values[0]) || null;
}

/** Uses loops: a regular expression for trailing blanks starts again at every blank, which takes quadratic time. */
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

/** The white space of HTTP, OWS. Source: RFC 9110, section 5.6.3. */
function isWhiteSpace(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/**
 * Whether the cookie of a request may be used. A browser sends the cookie with requests that any page makes, so a
 * request with an `Origin` has to come from an allowed origin. A same-origin EventSource sends no `Origin`, but
 * `Sec-Fetch-Site` (Fetch Metadata, section 2.4), which no page can forge. A user who reads from the address bar is
 * allowed: reading changes nothing.
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
