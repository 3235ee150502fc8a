import { setTimeout as sleep } from "node:timers/promises";

import { publishToken, type PublishAnswer } from "../service.ts";
import { sendCut } from "./cut-request.ts";
import { inventEvent, type Ledger, type Sent } from "./ledger.ts";
import type { Random } from "./random.ts";

export interface PublisherOptions {
  readonly name: string;
  readonly url: string;
  readonly channel: string;
  readonly random: Random;
  readonly ledger: Ledger;
  /** Events of one request, at most. */
  readonly batch: number;
  /** Characters of an event, at most. */
  readonly text: number;
  /** Between two requests, at most. */
  readonly pauseMs: number;
  /** Whether it aborts requests in the middle and repeats earlier ones. Keys must then live for seconds. */
  readonly repeats: boolean;
}

/** How long one attempt waits for an answer. */
const ANSWER_MS = 5_000;

/** How long a publish may go without an answer, over all its attempts. */
const PATIENCE_MS = 20_000;

/**
 * Publishes until it is told to stop. Every event has a key. A request without an answer is sent again
 * with the same keys until it is answered. In between, it sends events that must never be stored.
 */
export async function publishUntil(stop: AbortSignal, options: PublisherOptions): Promise<void> {
  const { name, random, ledger } = options;
  let count = 0;
  let last: { batch: readonly Sent[]; ids: readonly number[] } | null = null;
  while (!stop.aborted) {
    const batch = Array.from({ length: random.chance(0.5) ? 1 : random.between(2, options.batch) }, () =>
      inventEvent(`${name}-${count++}`, random, random.between(0, options.text)),
    );
    const ids = await publishOnce(batch, options);
    if (random.chance(0.1)) {
      await sendSpoiled(inventEvent(`spoiled-${name}-${count++}`, random, 10), options);
    }
    if (options.repeats && last !== null && random.chance(0.1)) {
      await repeat(last.batch, last.ids, options);
    }
    last = { batch, ids };
    await sleep(random.between(0, options.pauseMs), undefined, { signal: stop }).catch(() => undefined);
  }
  if (ledger.size === 0) {
    ledger.accuse(`${name} could publish nothing`);
  }
}

/** Sends a batch until it is answered. Returns its ids. */
async function publishOnce(batch: readonly Sent[], options: PublisherOptions): Promise<readonly number[]> {
  const { name, random, ledger } = options;
  const accuse = (violation: string): void =>
    ledger.accuse(`${name}, publishing ${batch[0]?.key}: ${violation}`);
  const deadline = performance.now() + PATIENCE_MS;
  for (let attempt = 1; ; attempt++) {
    const answer = await send(batch, options);
    if (answer === undefined) {
      if (performance.now() > deadline) {
        accuse("no request is answered");
        return [];
      }
      await sleep(random.between(0, 60));
      continue;
    }
    const duplicates = answer.events.filter((receipt) => receipt.duplicate).length;
    const ids = answer.events.map(({ id }) => Number(id));
    if (answer.events.some((receipt) => receipt.conflict)) {
      accuse("its own first try is a conflict");
    }
    if (attempt === 1 ? duplicates > 0 : duplicates > 0 && duplicates < batch.length) {
      accuse(`${duplicates} of ${batch.length} are duplicates at attempt ${attempt}`);
    }
    if (ids.length !== batch.length || ids.some((id, n) => id !== Number(ids[0]) + n)) {
      accuse(`stored as ${ids.join()}`);
    }
    for (const [n, event] of batch.entries()) {
      ledger.acknowledge(ids[n] ?? Number.NaN, event);
    }
    return ids;
  }
}

/** One attempt. Undefined: there was no answer, or it does not say whether the events were stored. */
async function send(batch: readonly Sent[], options: PublisherOptions): Promise<PublishAnswer | undefined> {
  const { url, channel, random, ledger, repeats } = options;
  const asLines = random.chance(0.3);
  const givesUp = repeats && random.chance(0.05);
  const signal = AbortSignal.timeout(givesUp ? random.between(1, 8) : ANSWER_MS);
  try {
    const answer = await fetch(`${url}/api/publish?channel=${channel}`, {
      method: "POST",
      headers: {
        Authorization: `Bearer ${publishToken}`,
        "Content-Type": asLines ? "application/x-ndjson" : "application/json",
      },
      body: asLines ? batch.map((event) => `${JSON.stringify(event)}\n`).join("") : JSON.stringify(batch),
      signal,
    });
    const text = await answer.text();
    if (answer.status === 200) {
      return JSON.parse(text) as PublishAnswer;
    }
    if (answer.status !== 503) {
      ledger.accuse(`publishing was answered ${answer.status} ${text}`);
    }
  } catch {
    // The service is dead, or we have hung up.
  }
  return undefined;
}

/** Says the same again, once in other words: the first ids are answered, and nothing is stored. */
async function repeat(
  batch: readonly Sent[],
  ids: readonly number[],
  options: PublisherOptions,
): Promise<void> {
  const changes = options.random.chance(0.5);
  const again = changes ? batch.map((event) => ({ ...event, type: "changed" })) : batch;
  const answer = await send(again as readonly Sent[], { ...options, repeats: false });
  const expected = ids.map((id) => ({ id: String(id), duplicate: true, conflict: changes }));
  const found = answer?.events.map(({ id, duplicate, conflict = false }) => ({ id, duplicate, conflict }));
  if (found !== undefined && JSON.stringify(found) !== JSON.stringify(expected)) {
    options.ledger.accuse(
      `${options.name}, repeating ${batch[0]?.key} (${ids.join()}): ${JSON.stringify(found)}`,
    );
  }
}

/** A batch with an event that is wrong, or a body that is cut short. */
async function sendSpoiled(event: Sent, options: PublisherOptions): Promise<void> {
  const { url, channel, random, ledger } = options;
  const line = `${JSON.stringify(event)}\n`;
  const body = line.repeat(random.between(1, 3));
  if (random.chance(0.5)) {
    const answer = await sendCut(url, {
      body,
      channel,
      contentLength: random.chance(0.5) ? null : Buffer.byteLength(body) + random.between(1, 1_000),
      contentType: "application/x-ndjson",
      how: random.pick(["fin", "rst", "close"]),
      afterMs: random.between(0, 20),
    });
    if (answer.includes(" 200 ")) {
      ledger.accuse(`a body that was cut short was answered ${answer}`);
    }
    return;
  }
  const spoiler = random.pick([
    '{"type":"connected","data":1}',
    '{"type":"a"}',
    '{"type":"a","data":1e999}',
    "{",
  ]);
  const status = await fetch(`${url}/api/publish?channel=${channel}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${publishToken}`, "Content-Type": "application/x-ndjson" },
    body: `${body}${spoiler}\n${line}`,
    signal: AbortSignal.timeout(ANSWER_MS),
  }).then(
    async (answer) => {
      await answer.arrayBuffer();
      return answer.status;
    },
    () => undefined,
  );
  if (status !== undefined && status !== 400 && status !== 503) {
    ledger.accuse(`a batch with ${spoiler} was answered ${status}`);
  }
}
