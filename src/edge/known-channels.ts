import { HubError } from "../hub/errors.ts";
import { unwrap } from "./answer.ts";
import { directoryOf, type Entrant, type Knowledge } from "./directory-object.ts";
import type { Env } from "./env.ts";
import { noteRefusal } from "./refusal-log.ts";
import { workerLogger } from "./worker-logger.ts";

/** Channels that an isolate remembers. The oldest is forgotten for a new one. */
const CHANNELS = 10_000;

/** How long it remembers one: a channel that nobody publishes to can be forgotten by the directory. */
const KEPT_MS = 60_000;

/** Until when each channel counts as known. Unknown ones are not remembered: they can be any number. */
const knownUntil = new Map<string, number>();

/**
 * Enters a channel into the directory before its hub is woken, so that a channel which is refused costs no object.
 *
 * @throws HubError as `DirectoryObject.enter`
 */
export async function enterChannel(env: Env, channel: string, entrant: Entrant): Promise<void> {
  if (isRemembered(channel)) {
    return;
  }
  try {
    unwrap(await directoryOf(env).enter(channel, entrant));
    remember(channel);
  } catch (error) {
    if (error instanceof HubError) {
      noteRefusal(error, env);
      throw error;
    }
    // The hub goes on without the directory, if its channel exists.
    noteUnreachable(env, error);
  }
}

/** What is known of a channel without its hub. If the directory cannot be asked, its hub has to be. */
export async function lookAtChannel(
  env: Env,
  channel: string,
): Promise<Pick<Knowledge, "isKnown" | "drainUntil">> {
  if (isRemembered(channel)) {
    return { isKnown: true, drainUntil: null };
  }
  try {
    const knowledge = await directoryOf(env).look(channel);
    if (knowledge.isKnown) {
      remember(channel);
    }
    return knowledge;
  } catch (error) {
    noteUnreachable(env, error);
    return { isKnown: true, drainUntil: null };
  }
}

/** Says in the log that the directory could not be asked. */
export function noteUnreachable(env: Env, error: unknown): void {
  workerLogger(env.LOGGING.level)("warn", "directory_unreachable", { error: String(error) });
}

function isRemembered(channel: string): boolean {
  return (knownUntil.get(channel) ?? 0) > Date.now();
}

function remember(channel: string): void {
  const [oldest] = knownUntil.keys();
  knownUntil.delete(channel);
  if (oldest !== undefined && knownUntil.size >= CHANNELS) {
    knownUntil.delete(oldest);
  }
  knownUntil.set(channel, Date.now() + KEPT_MS);
}
