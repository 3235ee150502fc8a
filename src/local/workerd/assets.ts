/** Serves the static files of `public/` as Cloudflare would. */
import { parseHeadersFile } from "./headers-file.ts";

interface Env {
  /** A `disk` service of workerd. It returns files without a content type, and listings of folders. */
  PUBLIC: Fetcher;
}

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

export default {
  async fetch(request, env) {
    if (request.method !== "GET" && request.method !== "HEAD") {
      return new Response("Method Not Allowed", { status: 405, headers: { Allow: "GET, HEAD" } });
    }
    const { pathname } = new URL(request.url);
    const file = await findFile(pathname, env.PUBLIC);
    if (file === undefined) {
      return new Response("Not Found", { status: 404 });
    }
    const etag = await toEtag(file.bytes);
    const headers = new Headers({
      "Content-Type": TYPES[file.name.split(".").at(-1) ?? ""] ?? "application/octet-stream",
      "Cache-Control": "public, max-age=0, must-revalidate",
      ETag: etag,
    });
    const rules = await read("_headers", env.PUBLIC);
    parseHeadersFile(new TextDecoder().decode(rules))(pathname, headers);
    if (request.headers.get("If-None-Match")?.includes(etag) === true) {
      return new Response(null, { status: 304, headers });
    }
    headers.set("Content-Length", String(file.bytes.byteLength));
    return new Response(request.method === "HEAD" ? null : file.bytes, { headers });
  },
} satisfies ExportedHandler<Env>;

/** Finds the file of a path: the path itself, the page (`/about` is about.html), or the index of a folder. */
async function findFile(pathname: string, disk: Fetcher) {
  const path = toPath(pathname);
  if (path === undefined) {
    return undefined;
  }
  const names = path === "" || path.endsWith("/") ? [`${path}index.html`] : [path, `${path}.html`];
  for (const name of names) {
    const bytes = await read(name, disk);
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

async function read(path: string, disk: Fetcher): Promise<ArrayBuffer | undefined> {
  const url = `http://public/${path.split("/").map(encodeURIComponent).join("/")}`;
  const response = await disk.fetch(url);
  // Only files have a Content-Length. Any other 200 is the listing of a folder.
  if (!response.ok || !response.headers.has("Content-Length")) {
    await response.body?.cancel();
    return undefined;
  }
  return response.arrayBuffer();
}

async function toEtag(bytes: ArrayBuffer): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return `"${[...hash.subarray(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}"`;
}
