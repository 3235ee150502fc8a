import { describe, expect, it } from "vitest";

import { startMortal } from "../../support/faults/mortal-service.ts";
import { isExcepted } from "../../support/host.ts";
import { openNative } from "../../support/native.ts";
import type { RawStream } from "../../support/raw-stream.ts";
import { from, openMany, PER_RELAY, relayedConfig, SEATS, untilRelays } from "../../support/relays.ts";
import { until } from "../../support/until.ts";

const channel = "killed";

const tick = (n: number) => ({ type: "tick", data: n, key: String(n) });

const idsOf = (stream: RawStream): number[] =>
  stream.events.filter(({ type }) => type === "tick").map(({ id }) => Number(id));

describe.skipIf(isExcepted("relays in one process"))("Relays and kill -9", () => {
  it.each(["runtime", "both", "terminated"] as const)(
    "give every seat to the clients that come back, which miss nothing (%s)",
    async (death) => {
      const mortal = await startMortal(relayedConfig());
      try {
        const { url } = mortal;
        const before = [
          ...(await openMany(mortal.service, SEATS / 2, { channel }, from("EU"))),
          ...(await openMany(mortal.service, SEATS / 2, { channel }, from("NA"))),
        ];
        const acknowledged: number[] = [];
        const publish = async (n: number): Promise<void> => {
          const { events } = await mortal.service.publish(tick(n), channel);
          acknowledged.push(Number(events[0]?.id));
        };
        let next = 1;
        const publishing = (async () => {
          try {
            for (; ; next++) {
              await publish(next);
            }
          } catch {
            // The connection breaks off with the service.
          }
        })();
        await until(() => acknowledged.length >= 30, { what: "30 acknowledged events" });
        await mortal.die(death);
        await publishing;
        await Promise.all(before.map((stream) => stream.untilClosed()));
        await mortal.revive();

        // From another continent, so that other relays ask for the seats.
        const back = await Promise.all(
          before.map((stream, n) =>
            mortal.service.stream(
              { channel, last_event_id: stream.lastEventId },
              from(n % 2 === 0 ? "EU" : "AS"),
            ),
          ),
        );
        expect((await mortal.service.raw(`/api/events?channel=${channel}`, from("EU"))).status).toBe(503);
        await untilRelays(mortal.service, channel, {
          "asia/1": PER_RELAY,
          "asia/2": PER_RELAY,
          "europe/1": PER_RELAY,
          "europe/2": PER_RELAY,
        });
        for (let repeated = next; repeated < next + 10; repeated++) {
          await publish(repeated);
        }
        const last = acknowledged.at(-1) ?? 0;
        expect(acknowledged).toEqual(Array.from({ length: last }, (_, n) => n + 1));
        for (const [n, stream] of back.entries()) {
          await until(() => idsOf(stream).at(-1) === last, { what: `event ${last}` });
          expect(idsOf(before[n] ?? stream).concat(idsOf(stream))).toEqual(acknowledged);
          expect(stream.events.map(({ type }) => type)).not.toContain("gap");
        }
        const refused = openNative(`${url}/api/events?channel=${channel}&on_busy=stream`, ["close"]);
        await refused.collect(1);
        refused.close();
      } finally {
        await mortal.end();
      }
    },
  );
});
