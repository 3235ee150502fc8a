import { parseHeadersFile } from "./headers-file.ts";

/** Reads a file below the served folder. Resolves to undefined if there is no such file. */
export type ReadFile = (path: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;

const TYPES: Record<string, string> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  jpg: "image/jpeg",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  map: "application/json",
  mjs: "text/javascript; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  ts: "text/plain; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  webmanifest: "application/manifest+json",
  webp: "image/webp",
  woff2: "font/woff2",
  xml: "application/xml",
};

/** Answers a request for a static file as Cloudflare would, where no platform does. */
export async function serveFile(request: Request, read: ReadFile): Promise<Response> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("Method Not Allowed", { status: 405, headers: { Allow: "GET, HEAD" } });
  }
  const { pathname } = new URL(request.url);
  const file = await findFile(pathname, read);
  if (file === undefined) {
    return new Response("Not Found", { status: 404 });
  }
  const etag = await toEtag(file.bytes);
  const headers = new Headers({
    "Content-Type": TYPES[file.name.split(".").at(-1) ?? ""] ?? "application/octet-stream",
    "Cache-Control": "public, max-age=0, must-revalidate",
    ETag: etag,
  });
  parseHeadersFile(new TextDecoder().decode(await read("_headers")))(pathname, headers);
  if (request.headers.get("If-None-Match")?.includes(etag) === true) {
    return new Response(null, { status: 304, headers });
  }
  headers.set("Content-Length", String(file.bytes.byteLength));
  return new Response(request.method === "HEAD" ? null : file.bytes, { headers });
}

/** Finds the file of a path: the path itself, the page (`/about` is about.html), or the index of a folder. */
async function findFile(pathname: string, read: ReadFile) {
  const path = toPath(pathname);
  if (path === undefined) {
    return undefined;
  }
  const names = path === "" || path.endsWith("/") ? [`${path}index.html`] : [path, `${path}.html`];
  for (const name of names) {
    const bytes = await read(name);
    if (bytes !== undefined) {
      return { name, bytes };
    }
  }
  return undefined;
}

/** Decodes a path below the folder. `undefined` for a path that could lead out of it or that must not be served. */
function toPath(pathname: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(pathname.slice(1));
  } catch {
    return undefined;
  }
  const steps = path.split("/");
  const isTrick = steps.some(
    (step, index) => step.startsWith(".") || (step === "" && index < steps.length - 1),
  );
  // eslint-disable-next-line no-control-regex -- control characters are what this refuses
  return isTrick || /[\u0000-\u001F\u007F\\]/.test(path) || /^_(?:headers|redirects)$/.test(path)
    ? undefined
    : path;
}

async function toEtag(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `"${[...hash.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}
