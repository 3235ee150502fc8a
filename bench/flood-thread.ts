import { request } from "node:http";
import { parentPort, workerData } from "node:worker_threads";

import type { Flood } from "./flood.ts";

/** How often a group of requests is sent. Timers are not more precise. */
const BUNCH_MS = 20;

const { origin, requests, perSecond, seconds } = workerData as Flood;
const answers: Record<number, number> = {};
const startedAt = performance.now();
const total = perSecond * seconds;
let sent = 0;
let open = 0;

function answered(status: number): void {
  answers[status] = (answers[status] ?? 0) + 1;
  open--;
  if (sent === total && open === 0) {
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a port of Node has no origin
    parentPort?.postMessage(answers);
  }
}

function send(): void {
  const { path = "/", body, ...rest } = requests[sent % requests.length] ?? {};
  const url = `${origin}${path.replace("{n}", String(sent))}`;
  const attempt = request(url, { ...rest, agent: false }, (response) => {
    response.destroy();
    answered(response.statusCode ?? 0);
  });
  attempt.on("error", () => answered(0));
  attempt.end(body);
  sent++;
  open++;
}

const timer = setInterval(() => {
  const due = Math.min(total, Math.ceil(((performance.now() - startedAt) / 1_000) * perSecond));
  while (sent < due) {
    send();
  }
  if (sent === total) {
    clearInterval(timer);
  }
}, BUNCH_MS);
