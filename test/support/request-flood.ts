import { Agent, get, type IncomingMessage } from "node:http";

/** Requests that an attacker repeats until it is told to stop. */
export interface RequestFlood {
  /** How many answers came, by their status; 0: none came. */
  readonly answers: ReadonlyMap<number, number>;
  /** Ends it, and resolves when the last answer is there. */
  stop(): Promise<void>;
}

/** Sends one GET, and reads its answer. */
export function getOnce(
  url: string,
  options: { readonly agent?: Agent; readonly localAddress?: string } = {},
): Promise<{ status: number; headers: IncomingMessage["headers"]; text: string }> {
  return new Promise((resolve, reject) => {
    get(url, options, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
      response.on("error", reject);
    }).on("error", reject);
  });
}

/**
 * Sends the same request over many connections at once, each of which repeats it as soon as it is answered.
 *
 * @param localAddress any of 127.0.0.0/8: the address that the service sees.
 */
export function floodRequests(url: string, connections: number, localAddress: string): RequestFlood {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, localAddress });
  const answers = new Map<number, number>();
  const flood = { isOver: false };
  const repeat = async (): Promise<void> => {
    while (!flood.isOver) {
      const { status } = await getOnce(url, { agent }).catch(() => ({ status: 0 }));
      answers.set(status, (answers.get(status) ?? 0) + 1);
    }
  };
  const running = Promise.all(Array.from({ length: connections }, repeat));
  return {
    answers,
    async stop() {
      flood.isOver = true;
      await running;
      agent.destroy();
    },
  };
}
