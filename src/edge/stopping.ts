import { closedRefusal } from "../hub/closing.ts";
import type { Env } from "./env.ts";
import { noteRefusal } from "./refusal-log.ts";

/**
 * How far the stop of this service has got. Only the local launcher stops one, and the runtime that it starts has one
 * isolate: so a channel that has no clients need not be woken to be told.
 */
let stage: "running" | "no streams" | "no publishes" = "running";

/** From now on no stream is let in. */
export function stopStreams(): void {
  stage = stage === "running" ? "no streams" : stage;
}

/** From now on nothing is published either. */
export function stopPublishes(): void {
  stage = "no publishes";
}

/** @throws HubError `shutting_down` */
export function requireStreams(env: Env): void {
  if (stage !== "running") {
    refuse(env);
  }
}

/** @throws HubError `shutting_down` */
export function requirePublishes(env: Env): void {
  if (stage === "no publishes") {
    refuse(env);
  }
}

function refuse(env: Env): never {
  const refusal = closedRefusal("shutting_down");
  noteRefusal(refusal, env);
  throw refusal;
}
