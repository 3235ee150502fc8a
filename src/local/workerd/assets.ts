/** Serves the static files of `public/` as Cloudflare would. */
import { serveFile } from "../../assets/serve-file.ts";

interface Env {
  /** A `disk` service of workerd. It returns files without a content type, and listings of folders. */
  PUBLIC: Fetcher;
}

export default {
  fetch: (request, env) => serveFile(request, (path) => read(path, env.PUBLIC)),
} satisfies ExportedHandler<Env>;

async function read(path: string, disk: Fetcher): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const url = `http://public/${path.split("/").map(encodeURIComponent).join("/")}`;
  const response = await disk.fetch(url);
  // Only files have a Content-Length. Any other 200 is the listing of a folder.
  if (!response.ok || !response.headers.has("Content-Length")) {
    await response.body?.cancel();
    return undefined;
  }
  return new Uint8Array(await response.arrayBuffer());
}
