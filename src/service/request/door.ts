import { hostRefusal, type HostNames } from "../access/host-names.ts";
import { Problem } from "../response/problem.ts";

/**
 * Characters of an address. The platform itself takes 16 KB, so that a request which is refused here is refused there.
 * It has room for a list of 100 ids of 128 characters, or for one of 100 types and two of 100 UUIDs.
 */
const ADDRESS_LENGTH = 16 * 1024;

/**
 * Parameters of a query. Three lists of 100 entries, each entry as a parameter of its own, and all other parameters fit.
 * A router that collects equal ones in a list copies that list for each of them.
 */
const PARAMETERS = 512;

/**
 * Characters of one header, its name included; headers of the same name count as one. It has room for the longest token,
 * 8,192 characters, in a cookie and for as much of other cookies.
 */
const HEADER_LENGTH = 16 * 1024;

/** Characters of all headers. */
const HEADERS_LENGTH = 32 * 1024;

/**
 * A path that a URL parser rewrites: a backslash counts as a slash, and a dot segment takes the one before it away. A proxy
 * in front does not know the first, and not every proxy the second, so a rule of its own for `/metrics` would not cover
 * `/x\..\metrics`.
 */
const REWRITTEN_PATH = /\\|\/(?:\.|%2e){1,2}(?:\/|$)/i;

/**
 * Bounds what a request brings before anything parses it, so that no parser, ours or of a library, ever sees more. A
 * parser that is quadratic by mistake then costs milliseconds, and not the seconds that 300 kB of spaces once did.
 *
 * @returns why the request is refused: `headers_too_large`, `uri_too_long`, `invalid_request` or `invalid_parameter`;
 *   null: it may pass
 */
export function refusalAtDoor(request: Request, names: HostNames): Problem | null {
  return (
    headersRefusal(request.headers) ??
    addressRefusal(request.url) ??
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
      const detail = `A header has ${HEADER_LENGTH} characters at most, and all headers together ${HEADERS_LENGTH}.`;
      return new Problem("headers_too_large", detail);
    }
  }
  return null;
}

function addressRefusal(url: string): Problem | null {
  return url.length > ADDRESS_LENGTH
    ? new Problem("uri_too_long", `The address of a request has ${ADDRESS_LENGTH} characters at most.`)
    : null;
}

/** Only the local runtime hands a target over as it was sent. On the edge it is rewritten before. */
function pathRefusal(url: string): Problem | null {
  const [target = ""] = url.split(/[?#]/, 1);
  return REWRITTEN_PATH.test(target)
    ? new Problem("invalid_request", "The path of this request has a backslash or a dot segment.")
    : null;
}

function parametersRefusal(url: string): Problem | null {
  return url.split("&", PARAMETERS + 1).length > PARAMETERS
    ? new Problem("invalid_parameter", `A request has ${PARAMETERS} parameters at most.`)
    : null;
}
