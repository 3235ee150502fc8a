/** A host of the service on this machine, as the tests start it. */
interface TestedHost {
  readonly name: "workerd" | "deno";
  /** The command that a person runs. */
  readonly command: "npm start" | "npm run serve";
  readonly npmArguments: readonly string[];
  readonly entry: string;
  /** How its runtime is told from the processes around it. */
  readonly runtimeCommand: string;
  /** The data folder, if none is named. */
  readonly dataFolder: string;
  /** What its runtime opens for a connection. */
  readonly descriptorsPerConnection: number;
  /** The files that a start leaves in the folder `build` besides its lock and its record. */
  readonly built: readonly string[];
}

const HOSTS: Readonly<Record<TestedHost["name"], TestedHost>> = {
  workerd: {
    name: "workerd",
    command: "npm start",
    npmArguments: ["start"],
    entry: "src/local/start.ts",
    runtimeCommand: "workerd serve",
    dataFolder: ".data",
    descriptorsPerConnection: 2,
    built: ["assets.js", "worker.js", "workerd.capnp"],
  },
  deno: {
    name: "deno",
    command: "npm run serve",
    npmArguments: ["run", "serve"],
    entry: "src/local/serve.ts",
    runtimeCommand: "deno run",
    dataFolder: ".data-deno",
    descriptorsPerConnection: 1,
    built: ["process.js", "settings.json"],
  },
};

/** The host that the end-to-end tests run against. The projects in vitest.config.ts choose it. */
export const host = HOSTS[process.env["SERVICE_HOST"] === "deno" ? "deno" : "workerd"];

/** Cases that one host cannot have, and why. */
const EXCEPTIONS: Readonly<Record<TestedHost["name"], Readonly<Record<string, string>>>> = {
  workerd: {
    "CONNECT that the runtime refuses":
      "the runtime hands it to the Worker, and prints that this has no handler",
    "several processes": "the runtime is one process, and its objects have one thread each",
    "streams that outlive the last descriptor":
      "the runtime may exit when accept() finds no descriptor; the launcher then starts it again",
  },
  deno: {
    "relays in one process": "one process of Deno holds all clients of a channel itself",
    "the Worker under miniflare": "the test runs the Worker itself, which is not part of this host",
    "a problem that says that a target is no path":
      "the runtime refuses `GET *` itself, and hands over `OPTIONS *` as the path /*",
    "a connection that ends when no request comes":
      "Deno gives a server no timeout for that: SECURITY.md says what to put in front",
    "chunks that are read many at a time":
      "Deno hands over each chunk of a body by itself, which takes 25 µs; only a publisher with a token is read",
    "an answer to malformed chunks": "Deno ends the connection, or waits for more, without an answer",
    "a length beside chunks": "Deno refuses such a request with 400",
    "CONNECT that reaches the service": "the runtime refuses it itself, and prints nothing",
  },
};

/** Whether this host cannot have a case. Says so, and why. */
export function isExcepted(name: string): boolean {
  const known = Object.values(EXCEPTIONS).some((exceptions) => Object.hasOwn(exceptions, name));
  if (!known) {
    throw new Error(`There is no exception called ${name}`);
  }
  const reason = EXCEPTIONS[host.name][name];
  if (reason !== undefined) {
    console.log(`Not on ${host.name}: ${name}, since ${reason}.`);
  }
  return reason !== undefined;
}
