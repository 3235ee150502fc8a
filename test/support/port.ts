import { createServer } from "node:net";

/** Ports below the ephemeral range of Linux and macOS. */
const FIRST = 20_000;
const COUNT = 10_000;

/** Another part of the range for each process, so that test files that run at the same time do not meet. */
let next = (process.pid * 37) % COUNT;

/**
 * A free port that the system gives to nobody by chance. A service that is killed and comes back needs one: while it is
 * away, a client that calls a port of the ephemeral range can be given that very port as its own, and connect to itself.
 */
export async function stablePort(): Promise<number> {
  for (let tried = 0; tried < COUNT; tried++) {
    const port = FIRST + next;
    next = (next + 1) % COUNT;
    if (await isFree(port)) {
      return port;
    }
  }
  throw new Error("No port is free");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
