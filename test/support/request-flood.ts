import { Agent, get } from "node:http";

/** Requests that an attacker repeats until it is told to stop. */
export interface RequestFlood {
  /** How many answers came, by their status; 0: none came. */
  readonly answers: Readonly<Record<number, number>>;
  /** Ends it, and resolves when the last answer is there. */
  stop(): Promise<void>;
}

/**
 * Sends the same request over many connections at once, each of which repeats it as soon as it is answered.
 *
 * @param localAddress any of 127.0.0.0/8: the address that the service sees.
 */
export function floodRequests(url: string, connections: number, localAddress = "127.0.0.1"): RequestFlood {
  const agent = new Agent({ keepAlive: true, maxSockets: connections, localAddress });
  const answers: Record<number, number> = {};
  let isOver = false;
  const once = (): Promise<void> =>
    new Promise((resolve) => {
      const settle = (status: number): void => {
        answers[status] = (answers[status] ?? 0) + 1;
        resolve();
      };
      get(url, { agent }, (response) => {
        response.resume();
        response.on("close", () => settle(response.statusCode ?? 0));
      }).on("error", () => settle(0));
    });
  const repeat = async (): Promise<void> => {
    while (!isOver) {
      await once();
    }
  };
  const running = Promise.all(Array.from({ length: connections }, repeat));
  return {
    answers,
    async stop() {
      isOver = true;
      await running;
      agent.destroy();
    },
  };
}
