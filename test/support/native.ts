import { EventSource } from "eventsource";

import { until } from "./until.ts";

/** A real `EventSource`, which reconnects by itself with its last id. */
export interface NativeClient {
  readonly source: EventSource;
  readonly events: readonly { readonly type: string; readonly id: string; readonly data: string }[];
  /** Every `error` that the connection raised, as opposed to the service's own `error` events. */
  readonly interruptions: readonly number[];
  collect(count: number, timeoutMs?: number): Promise<void>;
  close(): void;
}

export function openNative(url: string | URL, types: readonly string[]): NativeClient {
  const source = new EventSource(url);
  const events: { type: string; id: string; data: string }[] = [];
  const interruptions: number[] = [];
  for (const type of types) {
    source.addEventListener(type, (event: MessageEvent) => {
      if ("data" in event) {
        events.push({ type: event.type, id: event.lastEventId, data: String(event.data) });
      }
    });
  }
  source.addEventListener("error", (event) => {
    if (!("data" in event)) {
      interruptions.push(performance.now());
    }
  });
  return {
    source,
    events,
    interruptions,
    collect: async (count, timeoutMs = 10_000) => {
      await until(() => events.length >= count, {
        what: () => `${count} events at an EventSource, ${events.length} came`,
        timeoutMs,
      });
    },
    close: () => source.close(),
  };
}
