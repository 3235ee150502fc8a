/** What `*` may stand for: labels of a name, and nothing that starts another part of a URL. */
const SUBDOMAINS = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/;

/** The most characters of an origin: a scheme, a name of 253 characters and a port are shorter. */
const ORIGIN_LENGTH = 300;

/**
 * Whether an `Origin` is allowed. The list has exact origins and wildcards for subdomains (`https://*.example.com`).
 */
export function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  if (origin.length > ORIGIN_LENGTH) {
    return false;
  }
  return allowed.some((pattern) => {
    const [before = "", after] = pattern.split("*");
    if (after === undefined) {
      return origin === pattern;
    }
    const isFramed = origin.startsWith(before) && origin.endsWith(after);
    return isFramed && SUBDOMAINS.test(origin.slice(before.length, origin.length - after.length));
  });
}
