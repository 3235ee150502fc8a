import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { run, type Printing } from "./launcher.ts";
import { PATHS } from "./programs.ts";
import { HOST, send } from "./tls-client.ts";
import { until } from "./until.ts";

const deploy = join(import.meta.dirname, "../../deploy");

/** A reverse proxy with the settings of deploy/. */
export interface Proxy {
  readonly name: string;
  /** Programs without which it cannot be run. */
  readonly programs: readonly string[];
  /** Writes the settings into a folder and gives the command that runs the proxy with them. */
  prepare(folder: string, ports: Ports): Promise<readonly [command: string, ...args: string[]]>;
}

interface Ports {
  readonly service: number;
  readonly http: number;
  readonly https: number;
}

export interface RunningProxy extends Ports {
  stop(): Promise<void>;
}

export const PROXIES: readonly Proxy[] = [
  {
    name: "nginx",
    programs: ["nginx", "openssl"],
    prepare: async (folder, ports) => {
      const { certificate, key } = await makeCertificate(folder);
      const site = replaced(await readFile(join(deploy, "nginx.conf"), "utf8"), [
        [/127\.0\.0\.1:8787/, `127.0.0.1:${ports.service}`],
        [/listen 80;/, `listen ${ports.http};`],
        [/listen \[::\]:80;/, ""],
        [/listen 443 /, `listen ${ports.https} `],
        [/listen \[::\]:443 .*/, ""],
        [/\/etc\/letsencrypt\/\S+\/fullchain\.pem/, certificate],
        [/\/etc\/letsencrypt\/\S+\/privkey\.pem/, key],
      ]);
      await writeFile(join(folder, "site.conf"), site);
      await writeFile(join(folder, "nginx.conf"), aroundSite(folder));
      return ["nginx", "-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")];
    },
  },
  {
    name: "HAProxy",
    programs: ["haproxy", "openssl"],
    prepare: async (folder, ports) => {
      const { both } = await makeCertificate(folder);
      // Only root may become another user.
      const user: [RegExp, string][] = isRoot() ? [] : [[/^ *(?:user|group) haproxy\n/gm, ""]];
      const settings = replaced(await readFile(join(deploy, "haproxy.cfg"), "utf8"), [
        [/127\.0\.0\.1:8787/, `127.0.0.1:${ports.service}`],
        [/:80,:::80/, `127.0.0.1:${ports.http}`],
        [/:443,:::443/, `127.0.0.1:${ports.https}`],
        [/\/etc\/haproxy\/\S+\.pem/, both],
        ...user,
      ]);
      await writeFile(join(folder, "haproxy.cfg"), settings);
      return ["haproxy", "-db", "-f", join(folder, "haproxy.cfg")];
    },
  },
  {
    name: "Caddy",
    programs: ["caddy"],
    prepare: async (folder, ports) => {
      const options = [
        "admin off",
        `http_port ${ports.http}`,
        `https_port ${ports.https}`,
        "local_certs",
        "skip_install_trust",
        `storage file_system ${folder}`,
      ];
      const settings = replaced(await readFile(join(deploy, "Caddyfile"), "utf8"), [
        [/127\.0\.0\.1:8787/, `127.0.0.1:${ports.service}`],
        [/^\{$/m, `{\n\t${options.join("\n\t")}`],
      ]);
      await writeFile(join(folder, "Caddyfile"), settings);
      return ["caddy", "run", "--adapter", "caddyfile", "--config", join(folder, "Caddyfile")];
    },
  },
];

/** Starts a proxy in front of a service. */
export async function startProxy(proxy: Proxy, servicePort: number): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), "edge-sse-proxy-"));
  // Started by root, nginx reads and writes as another user.
  await chmod(folder, 0o755);
  const ports = { service: servicePort, http: await freePort(), https: await freePort() };
  const [command, ...args] = await proxy.prepare(folder, ports);
  const running = run(command, args, { env: { ...process.env, PATH: PATHS, HOME: folder } });
  const stop = async (): Promise<void> => {
    // nginx replaces workers that are killed before it is.
    running.child.kill("SIGTERM");
    await Promise.race([running.ended(), sleep(STOP_MS)]);
    running.end();
    await running.ended();
    started.delete(running);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  started.add(running);
  try {
    await until(() => isServing(ports.https), {
      what: () => `${proxy.name} to listen; it said\n${running.output}`,
      timeoutMs: 20_000,
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...ports, stop };
}

/** Proxies must not outlive the tests, whatever ends them. */
const started = new Set<Printing>();
process.on("exit", () => {
  for (const running of started) {
    running.end();
  }
});

/** How long a proxy may take to stop. Caddy waits for streams without a limit. */
const STOP_MS = 2_000;

/**
 * What is around the settings of a site in nginx.conf. It compresses everything that a site does not exclude, and sends
 * small pieces late, as the nginx.conf of Debian does.
 */
function aroundSite(folder: string): string {
  return `daemon off;
pid ${folder}/nginx.pid;
worker_processes 2;
events {}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  gzip on;
  gzip_proxied any;
  gzip_types *;
  gzip_min_length 1;
  client_body_temp_path ${folder}/bodies;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  include ${folder}/site.conf;
}
`;
}

/** Every replacement has to find something: a file that has changed must not be tested half. */
function replaced(settings: string, replacements: readonly (readonly [RegExp, string])[]): string {
  return replacements.reduce((text, [pattern, replacement]) => {
    if (!pattern.test(text)) {
      throw new Error(`There is no ${pattern} in the settings`);
    }
    return text.replace(new RegExp(pattern, "gm"), replacement);
  }, settings);
}

async function makeCertificate(folder: string): Promise<{ certificate: string; key: string; both: string }> {
  const files = join(folder, "tls");
  await mkdir(files);
  const [certificate, key, both] = ["certificate.pem", "key.pem", "both.pem"].map((name) =>
    join(files, name),
  ) as [string, string, string];
  const ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", `/CN=${HOST}`, "-addext", `subjectAltName=DNS:${HOST}`];
  execFileSync(
    "openssl",
    ["req", "-x509", ...ec, ...names, "-days", "2", "-keyout", key, "-out", certificate],
    {
      stdio: "pipe",
    },
  );
  await writeFile(both, `${await readFile(certificate, "utf8")}${await readFile(key, "utf8")}`);
  return { certificate, key, both };
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => void server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Whether the whole way is open: Caddy listens before it has a certificate. */
async function isServing(port: number): Promise<boolean> {
  try {
    return (await send({ protocol: "HTTP/1.1", port }, "/health")).status === 200;
  } catch {
    return false;
  }
}
