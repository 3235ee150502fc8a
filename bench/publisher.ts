import { connect, type Socket } from "node:net";

import type { Host } from "./host.ts";

/** Posts bodies, any number at once. It uses raw sockets, because a client library costs more than the floor itself. */
export interface Publisher {
  /** Resolves when the publish is acknowledged. */
  publish(body: string): Promise<void>;
  close(): void;
}

interface Call {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Closes an idle connection before workerd does, which closes it after 5 seconds without a request. */
const IDLE_MS = 3_000;

export function openPublisher(host: Host, path: string): Publisher {
  const head = [
    `POST ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    `Authorization: Bearer ${host.token}`,
    "Content-Type: application/json",
  ].join("\r\n");
  const open = new Set<Socket>();
  const idle: Connection[] = [];
  const connection = (): Connection => {
    const opened = openConnection(host.port, () => {
      open.delete(opened.socket);
      idle.splice(0, idle.length, ...idle.filter((other) => other !== opened));
    });
    open.add(opened.socket);
    return opened;
  };
  return {
    publish: async (body) => {
      const used = idle.pop() ?? connection();
      await used.call(`${head}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
      idle.push(used);
    },
    close: () => {
      for (const socket of open) {
        socket.destroy();
      }
    },
  };
}

interface Connection {
  readonly socket: Socket;
  call(request: string): Promise<void>;
}

/** A keep-alive connection with one call at a time. */
function openConnection(port: number, onClosed: () => void): Connection {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  let answer = "";
  let call: Call | undefined;
  const settle = (error?: Error): void => {
    const settled = call;
    call = undefined;
    answer = "";
    if (error === undefined) {
      settled?.resolve();
    } else {
      settled?.reject(error);
    }
  };
  socket.setTimeout(IDLE_MS, () => call ?? socket.destroy());
  socket.on("error", settle);
  socket.on("close", () => {
    onClosed();
    settle(new Error("the connection was closed before the publish was answered"));
  });
  socket.on("data", (bytes) => {
    answer += bytes.toString("latin1", 0, bytes.length);
    if (isComplete(answer)) {
      settle(
        answer.startsWith("HTTP/1.1 200 ")
          ? undefined
          : new Error(`expected 200 for a publish, got: ${answer.slice(0, 1_000)}`),
      );
    }
  });
  return {
    socket,
    call: (request) =>
      new Promise((resolve, reject) => {
        call = { resolve, reject };
        socket.write(request);
      }),
  };
}

function isComplete(answer: string): boolean {
  const head = answer.indexOf("\r\n\r\n") + 4;
  if (head === 3) {
    return false;
  }
  const length = /^content-length: *(\d+)/im.exec(answer.slice(0, head))?.[1];
  return length === undefined ? answer.endsWith("\r\n0\r\n\r\n") : answer.length - head >= Number(length);
}
