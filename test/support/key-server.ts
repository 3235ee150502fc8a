import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";

/** Where a key set is fetched, on this machine. */
export interface KeyServer {
  readonly url: string;
  /** How often it was asked. */
  readonly fetches: number;
  /** How it answers from now on. */
  answer: RequestListener;
  stop(): Promise<void>;
}

export async function startKeyServer(first: RequestListener): Promise<KeyServer> {
  let fetches = 0;
  const server = createServer((request, response) => {
    fetches++;
    keyServer.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const keyServer: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    get fetches() {
      return fetches;
    },
    answer: first,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return keyServer;
}
