/** What may stand for `*.` in an origin: labels of a name, and nothing that starts another part of a URL. */
const SUBDOMAINS = /^[a-z0-9-]+(?:\.[a-z0-9-]+)*$/;

/** Whether an `Origin` is among the allowed ones: exact ones, and wildcards for subdomains (`https://*.example.com`). */
export function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  return allowed.some((pattern) => {
    const [before = "", after] = pattern.split("*");
    if (after === undefined) {
      return origin === pattern;
    }
    const isFramed = origin.startsWith(before) && origin.endsWith(after);
    return isFramed && SUBDOMAINS.test(origin.slice(before.length, origin.length - after.length));
  });
}
