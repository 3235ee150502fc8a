import { hostRefusal, type HostNames } from "../access/host-names.ts";
import { Problem } from "../response/problem.ts";

/**
 * The longest URL, in characters. Cloudflare's limit is 16 KB too, so a URL works either on every host or on none. There is
 * room for a list of 100 ids of 128 characters, or for a list of 100 types and two lists of 100 UUIDs.
 */
const URL_LENGTH = 16 * 1024;

/**
 * The most parameters of a query. There is room for three lists of 100 entries, each entry as a parameter of its own, and
 * for all other parameters. The router needs this bound: it collects equal parameters in a list that it copies each time.
 */
const PARAMETERS = 512;

/**
 * The longest header, in characters and with its name. Headers of the same name count as one. A cookie header has room for
 * the longest token, 8,192 characters, and for as much of other cookies.
 */
const HEADER_LENGTH = 16 * 1024;

/** The most characters of all headers together. */
const HEADERS_LENGTH = 32 * 1024;

/**
 * A path that a URL parser rewrites: it reads a backslash as a slash, and a `..` removes the segment before it. The attack
 * is on a proxy in front that does not read paths this way: its rule for `/metrics` does not cover `/x\..\metrics`.
 */
const REWRITTEN_PATH = /\\|\/(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * Bounds the size of a request before anything parses it. Even a parser that is quadratic by mistake then costs
 * milliseconds. Without these bounds, 300 kB of spaces in a header once cost 24 seconds.
 *
 * @returns why the request is refused: `headers_too_large`, `uri_too_long`, `invalid_request` or `invalid_parameter`;
 *   null if it is not refused
 */
export function refusalAtDoor(request: Request, names: HostNames): Problem | null {
  return (
    headersRefusal(request.headers) ??
    lengthRefusal(request.url) ??
    hostRefusal(request.headers.get("Host"), request.url, names) ??
    pathRefusal(request.url) ??
    parametersRefusal(request.url)
  );
}

function headersRefusal(headers: Headers): Problem | null {
  let total = 0;
  for (const [name, value] of headers) {
    const length = name.length + value.length;
    total += length;
    if (length > HEADER_LENGTH || total > HEADERS_LENGTH) {
      const detail = `A header may have at most ${HEADER_LENGTH} characters, and all headers together at most ${HEADERS_LENGTH}.`;
      return new Problem("headers_too_large", detail);
    }
  }
  return null;
}

function lengthRefusal(url: string): Problem | null {
  return url.length > URL_LENGTH
    ? new Problem("uri_too_long", `The URL of a request may have at most ${URL_LENGTH} characters.`)
    : null;
}

/** Matters for the local runtime, which passes the path as it was sent. On the edge it is already rewritten. */
function pathRefusal(url: string): Problem | null {
  const [target = ""] = url.split(/[?#]/, 1);
  return REWRITTEN_PATH.test(target)
    ? new Problem(
        "invalid_request",
        "The path of this request has a backslash or a dot segment. Send the path without them.",
      )
    : null;
}

function parametersRefusal(url: string): Problem | null {
  return url.split("&", PARAMETERS + 1).length > PARAMETERS
    ? new Problem(
        "invalid_parameter",
        `A request may have at most ${PARAMETERS} parameters. Join the entries of a list with commas.`,
      )
    : null;
}
