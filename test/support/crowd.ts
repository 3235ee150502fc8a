import { connect, type Socket } from "node:net";

export interface CrowdOptions {
  readonly port: number;
  readonly size: number;
  /** The bytes that each connection sends as soon as it is open. */
  readonly bytes?: string;
  /** The bytes that each connection sends again and again. */
  readonly drip?: { readonly bytes: string; readonly everyMs: number };
}

/** Connections from many addresses of this machine that never send a whole request. */
export interface Crowd {
  /** How many the service has accepted, or at least its system has. */
  readonly connected: number;
  /** How long each connection lived that is closed by now, in milliseconds. */
  readonly lives: readonly number[];
  /** The first line of each answer. */
  readonly answers: readonly string[];
  /** Settles when all connections are closed. */
  readonly closed: Promise<void>;
  /** Resets the open connections. */
  disperse(): void;
}

/** How many connect at a time: fewer than a listener lets wait. */
const AT_A_TIME = 100;

export async function gather({ port, size, bytes, drip }: CrowdOptions): Promise<Crowd> {
  const sockets: Socket[] = [];
  const lives: number[] = [];
  const answers: string[] = [];
  const ends: Promise<void>[] = [];
  let connected = 0;

  const join = (n: number): Promise<void> =>
    new Promise((settled) => {
      const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.${n >> 7}.${(n & 127) + 2}` });
      sockets.push(socket);
      let since: number | undefined;
      let dripping: NodeJS.Timeout | undefined;
      socket.on("connect", () => {
        connected++;
        since = performance.now();
        socket.write(bytes ?? "");
        if (drip !== undefined) {
          dripping = setInterval(() => socket.write(drip.bytes), drip.everyMs);
        }
        settled();
      });
      socket.on("data", (data: Buffer) => answers.push(data.toString("latin1").split("\r\n", 1)[0] ?? ""));
      socket.on("error", () => settled());
      ends.push(
        new Promise((ended) => {
          socket.on("close", () => {
            clearInterval(dripping);
            if (since !== undefined) {
              lives.push(performance.now() - since);
            }
            ended();
          });
        }),
      );
    });

  for (let first = 0; first < size; first += AT_A_TIME) {
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, size - first) }, (_, n) => join(first + n)));
  }
  return {
    get connected() {
      return connected;
    },
    lives,
    answers,
    closed: Promise.all(ends).then(() => undefined),
    disperse: () => sockets.forEach((socket) => socket.resetAndDestroy()),
  };
}
