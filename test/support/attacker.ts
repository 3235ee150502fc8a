import { Agent, request } from "node:http";

import { someAtATime } from "./some-at-a-time.ts";

export interface Ask {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

export interface Answered {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** One address that asks as fast as it can, over connections that it keeps open. */
export interface Attacker {
  ask(ask: Ask): Promise<Answered>;
  /** Some at a time; the answers come in the order of the requests. */
  askAll(asks: readonly Ask[]): Promise<Answered[]>;
  leave(): void;
}

const AT_ONCE = 50;

/** @param localAddress any of 127.0.0.0/8. */
export function createAttacker(url: string, localAddress: string): Attacker {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE, localAddress });
  const ask = ({ method = "GET", path, headers = {}, body }: Ask): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const asking = request(`${url}${path}`, { method, headers, agent, localAddress }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"], text }),
        );
      });
      asking.on("error", reject);
      asking.end(body);
    });
  return {
    ask,
    askAll: (asks) => someAtATime(AT_ONCE, asks, ask),
    leave: () => agent.destroy(),
  };
}

/** How many answers have each status. */
export function statuses(answers: readonly { readonly status: number }[]): Record<number, number> {
  const counts: Record<number, number> = {};
  for (const { status } of answers) {
    counts[status] = (counts[status] ?? 0) + 1;
  }
  return counts;
}
