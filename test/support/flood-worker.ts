import { request } from "node:http";
import { parentPort, workerData } from "node:worker_threads";

import type { Flood } from "./flood.ts";

/** Requests are sent in bunches so often: a timer is not more exact. */
const BUNCH_MS = 20;

const { url, headers = {}, localAddress, perSecond, seconds } = workerData as Flood;
const answers: Record<number, number> = {};
const startedAt = performance.now();
const total = perSecond * seconds;
let sent = 0;
let open = 0;

function send(): void {
  open++;
  const done = (status: number): void => {
    answers[status] = (answers[status] ?? 0) + 1;
    open--;
    if (sent === total && open === 0) {
      parentPort?.postMessage(answers);
    }
  };
  const attempt = request(
    url,
    { headers, agent: false, ...(localAddress && { localAddress }) },
    (response) => {
      response.destroy();
      done(response.statusCode ?? 0);
    },
  );
  attempt.on("error", () => done(0));
  attempt.end();
}

const timer = setInterval(() => {
  const due = Math.min(total, Math.ceil(((performance.now() - startedAt) / 1_000) * perSecond));
  for (; sent < due; sent++) {
    send();
  }
  if (sent === total) {
    clearInterval(timer);
  }
}, BUNCH_MS);
