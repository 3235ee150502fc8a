import { setTimeout as sleep } from "node:timers/promises";

import { until } from "../until.ts";
import { fingerprintOf, type Ledger, type Sent } from "./ledger.ts";

interface HistoryPage {
  readonly events: readonly {
    readonly id: string;
    readonly type: string;
    readonly data: unknown;
    readonly project_id?: string;
    readonly agent_id?: string;
    readonly published_at: string;
  }[];
  readonly next: string;
  readonly more: boolean;
  readonly oldest_id: string | null;
  readonly latest_id: string;
  readonly gap?: {
    readonly requested_id: string;
    readonly oldest_id: string | null;
    readonly reason: string;
  };
}

/** Reads the log by `GET /api/history` while it is written, before it can be trimmed: once, and to the end. */
export interface Archivist {
  /** Events that it was told are gone before it could read them. */
  readonly missed: number;
  read(stop: AbortSignal): Promise<void>;
  /** Reads on to the last event that was acknowledged. */
  catchUp(): Promise<void>;
  publishedAt(id: number): number | undefined;
  /** Compares the events that it has read with the acknowledged ones. */
  judge(): void;
}

export function createArchivist(
  url: string,
  channel: string,
  ledger: Ledger,
  maxAgeMs: number = Number.POSITIVE_INFINITY,
): Archivist {
  const read = new Map<number, { readonly publishedAt: number; readonly description: string }>();
  let after = 0;
  let missed = 0;
  let publishedAt = 0;

  /** Undefined: the service does not answer. */
  async function fetchPage(): Promise<HistoryPage | undefined> {
    try {
      const answer = await fetch(`${url}/api/history?channel=${channel}&limit=1000&after=${after}`, {
        signal: AbortSignal.timeout(5_000),
      });
      const text = await answer.text();
      if (answer.status === 200) {
        return JSON.parse(text) as HistoryPage;
      }
      if (answer.status !== 503) {
        ledger.accuse(`the history was answered ${answer.status} ${text}`);
      }
    } catch {
      // The service is down at the moment.
    }
    return undefined;
  }

  async function readPage(): Promise<HistoryPage | undefined> {
    const askedAt = Date.now();
    const page = await fetchPage();
    if (page === undefined) {
      return undefined;
    }
    if (page.gap !== undefined) {
      const oldest = Number(page.gap.oldest_id ?? Number(page.latest_id) + 1);
      if (page.gap.reason !== "expired" || page.gap.requested_id !== String(after) || oldest <= after + 1) {
        ledger.accuse(`the history after ${after} has the gap ${JSON.stringify(page.gap)}`);
      }
      missed += oldest - 1 - after;
      after = oldest - 1;
    }
    for (const event of page.events) {
      const id = Number(event.id);
      const at = Date.parse(event.published_at);
      if (id !== after + 1) {
        ledger.accuse(`the history after ${after} goes on with ${id}`);
      }
      if (at < publishedAt) {
        ledger.accuse(`event ${id} was published at ${at}, before the one in front of it`);
      }
      // The clock of the runtime may be a little behind ours.
      if (at < askedAt - maxAgeMs - 100) {
        ledger.accuse(`event ${id} was served ${askedAt - at} ms after it was published`);
      }
      const description = describe(event, fingerprintOf(JSON.stringify(event.data)));
      read.set(id, { publishedAt: at, description });
      after = id;
      publishedAt = at;
    }
    if (Number(page.next) !== after) {
      ledger.accuse(`the history ends at ${after} and says next ${page.next}`);
      after = Math.max(after, Number(page.next));
    }
    return page;
  }

  return {
    get missed() {
      return missed;
    },
    read: async (stop) => {
      while (!stop.aborted) {
        const page = await readPage();
        const pause = page === undefined ? 50 : page.more ? 0 : 20;
        await sleep(pause, undefined, { signal: stop }).catch(() => undefined);
      }
    },
    catchUp: async () => {
      await until(
        async () => {
          const page = await readPage();
          return page !== undefined && !page.more && page.latest_id === page.next;
        },
        { what: () => `the end of the history; it is read up to ${after}` },
      );
    },
    publishedAt: (id) => read.get(id)?.publishedAt,
    judge: () => {
      if (after !== ledger.head) {
        ledger.accuse(`the log ends at ${after}, and ${ledger.head} was the last id that was acknowledged`);
      }
      for (const [id, { description }] of read) {
        const sent = ledger.at(id);
        const expected = sent && describe(sent, ledger.fingerprintAt(id));
        if (description !== expected) {
          ledger.accuse(
            `the log has ${description} as ${id}; acknowledged was ${expected} ${sent?.data.name}`,
          );
        }
      }
      if (ledger.size !== ledger.head) {
        ledger.accuse(`${ledger.size} events were acknowledged, and ${ledger.head} is the last id`);
      }
    },
  };
}

function describe(
  { type, project_id, agent_id }: Sent | HistoryPage["events"][number],
  fingerprint: string | undefined,
): string {
  const projectId = project_id === undefined ? null : String(project_id);
  return JSON.stringify([type, projectId, agent_id ?? null, fingerprint]);
}
