import type { FetchImplementation, JSONWebKeySet } from "jose";
import { usableKeys } from "./usable-keys.ts";

/**
 * When a fetch counts as lost. Longer than its timeout: a fetch that was cancelled with its request never reports back.
 */
const FETCH_LOST_MS = 6_000;

/** The pause after a failed fetch: a flood of tokens must not become a flood of fetches. */
const FAILURE_PAUSE_MS = 2_000;

/**
 * How often a request looks whether the fetch of another request is done. Workers do not allow requests to share a
 * promise. The interval doubles from the first to the longest, because many requests may wait until the timeout.
 */
const LOOK_MS = { first: 10, most: 160 } as const;

const KEY_SET_BYTES = 256 * 1024;

/** The keys are not available at the moment, so no token can be verified. */
export class KeysUnavailableError extends Error {}

/** The keys are still not available. The cause was reported when it was found. */
export class KeysStillUnavailableError extends KeysUnavailableError {}

/**
 * Fetches a key set of bounded size. Requests that come during a fetch share its result, and a failed fetch is followed
 * by a pause. A set without a key for the algorithm counts as a failure: as a success, it would be cached even after it
 * was repaired.
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
        throw new KeysStillUnavailableError("the fetch of the key set takes too long");
      }
    }
    if (fetched.at >= askedAt) {
      return new Response(fetched.text);
    }
    const sinceFailure = Date.now() - failedAt;
    if (sinceFailure >= 0 && sinceFailure < FAILURE_PAUSE_MS) {
      throw new KeysStillUnavailableError("the key set was not fetched again so soon after a failure");
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
    throw new KeysUnavailableError(`the server of the key set answered ${response.status}`);
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
