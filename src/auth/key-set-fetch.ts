import type { FetchImplementation, JSONWebKeySet } from "jose";
import { usableKeys } from "./usable-keys.ts";

/** Longer than the time that a fetch is given: what was cancelled with its request is not waited for. */
const FETCH_LOST_MS = 6_000;

/** After a failed fetch nobody tries again for so long: what anybody can send must not become a flood elsewhere. */
const FAILURE_PAUSE_MS = 2_000;

/**
 * How soon who waits for the fetch of another request looks first, and how seldom at last: a promise must not be shared
 * between requests, and a crowd may wait for as long as a fetch is given.
 */
const LOOK_MS = { first: 10, most: 160 } as const;

const KEY_SET_BYTES = 256 * 1024;

/** The keys could not be had: nobody is let in, and that passes by itself. */
export class KeysUnavailableError extends Error {}

/** The same, and nothing new: what is wrong was told when it was found out. */
export class KeysStillUnavailableError extends KeysUnavailableError {}

/**
 * Fetches a key set of bounded size: once for all who ask meanwhile, and not at once after a failure. A set without a key
 * for the algorithm is a failure too: it would otherwise count as fetched, and stay so after it was mended.
 */
export function createKeySetFetch(fetch: typeof globalThis.fetch, algorithm: string): FetchImplementation {
  let busyUntil = Number.NEGATIVE_INFINITY;
  let fetched = { at: Number.NEGATIVE_INFINITY, text: "" };
  let failedAt = Number.NEGATIVE_INFINITY;
  return async (url, options) => {
    const askedAt = Date.now();
    let waitMs: number = LOOK_MS.first;
    while (Date.now() < busyUntil) {
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      waitMs = Math.min(2 * waitMs, LOOK_MS.most);
      if (options.signal.aborted) {
        throw new KeysStillUnavailableError("the key set is being fetched for too long");
      }
    }
    if (fetched.at >= askedAt) {
      return new Response(fetched.text);
    }
    const sinceFailure = Date.now() - failedAt;
    if (sinceFailure >= 0 && sinceFailure < FAILURE_PAUSE_MS) {
      throw new KeysStillUnavailableError("the key set is not fetched again yet");
    }
    busyUntil = Date.now() + FETCH_LOST_MS;
    try {
      const text = await fetchKeySet(fetch, algorithm, url, options);
      fetched = { at: Date.now(), text };
      return new Response(text);
    } catch (error) {
      failedAt = Date.now();
      throw error;
    } finally {
      busyUntil = Number.NEGATIVE_INFINITY;
    }
  };
}

async function fetchKeySet(
  fetch: typeof globalThis.fetch,
  algorithm: string,
  ...[url, options]: Parameters<FetchImplementation>
): Promise<string> {
  const response = await fetch(url, options);
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new KeysUnavailableError(`the key set answers ${response.status}`);
  }
  const text = await readText(response.body, KEY_SET_BYTES);
  const keys = await usableKeys(JSON.parse(text) as JSONWebKeySet, algorithm);
  if (keys.length === 0) {
    throw new KeysUnavailableError(`the key set has no key for ${algorithm}`);
  }
  return JSON.stringify({ keys });
}

async function readText(body: ReadableStream<Uint8Array> | null, most: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let size = 0;
  for await (const chunk of body ?? []) {
    size += chunk.byteLength;
    if (size > most) {
      throw new KeysUnavailableError(`the key set has more than ${most} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text;
}
