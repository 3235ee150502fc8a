import * as fc from "fast-check";
import { describe, expect, it } from "vitest";

import { createRandom, type Random } from "../../support/faults/random.ts";
import { outcomeOf } from "../../support/hub/outcome.ts";
import { SeatWorld } from "../../support/relay/seat-world.ts";

const SETTINGS = { maxConnections: 25, clientsPerObject: 10, maxRelays: 5 };

/**
 * In the second one, every relay has to be filled to its last place. The last place of a relay is kept for a moment for
 * a client that was sent there, so connects follow each other with a pause.
 */
const CALM = fc.constantFrom(
  { settings: SETTINGS, pauseMs: 0 },
  { settings: { maxConnections: 30, clientsPerObject: 10, maxRelays: 3 }, pauseMs: 200 },
);
const ENTRANCES = ["a/1", "a/1", "a/2", "b/1", "a/3"] as const;

/** After this time every lease has been renewed or has ended, and everything unused has been given back. */
const QUIET_MS = 90_000;

const seed = fc.integer({ min: 0, max: 2 ** 31 });

/** Does something at random to a world. */
function disturb(world: SeatWorld, random: Random): void {
  const [relay] = random.some(world.relays, 0.3);
  const what = random.between(1, 100);
  if (what <= 60) {
    const crowd = random.chance(0.1) ? 20 : 1;
    for (let count = 0; count < crowd; count++) {
      void world.connect(random.pick([...ENTRANCES]));
    }
  } else if (what <= 90) {
    relay?.leave();
  } else if (relay !== undefined && what <= 93) {
    world.kill(relay);
  } else if (relay !== undefined && what <= 95) {
    world.split(relay);
  } else if (relay !== undefined && what <= 97) {
    world.cut(relay, random.between(1_000, 100_000));
  } else if (what <= 98) {
    world.restartHub();
  }
}

describe("the seats of a channel", () => {
  it("are never exceeded, and none is lost, whatever happens to messages, relays and the hub", async () => {
    await fc.assert(
      fc.asyncProperty(seed, async (from) => {
        const random = createRandom(from);
        const world = new SeatWorld(random.of("world"), SETTINGS);
        for (let step = 0; step < 150; step++) {
          disturb(world, random);
          await world.clock.advance(random.between(1, random.chance(0.1) ? 10_000 : 300));
        }
        world.calmDown();
        await world.clock.advance(QUIET_MS);
        expect(world.faults).toEqual([]);

        const before = world.clients;
        const outcomes = [];
        for (let count = before; count < SETTINGS.maxConnections + 2; count++) {
          const outcome = outcomeOf(world.connect("a/1"));
          await world.clock.advance(1_500);
          outcomes.push(outcome.value);
        }
        expect(outcomes).toEqual([
          ...Array.from({ length: SETTINGS.maxConnections - before }, () => "in"),
          "limit",
          "limit",
        ]);
        expect([world.clients, world.faults]).toEqual([SETTINGS.maxConnections, []]);
      }),
      { numRuns: 60 },
    );
  });

  it("are found by a connect if one has been free for longer than 250 ms", async () => {
    await fc.assert(
      fc.asyncProperty(seed, CALM, async (from, { settings, pauseMs }) => {
        const random = createRandom(from);
        const world = new SeatWorld(random.of("world"), settings);
        world.network.isRough = false;
        const refused: string[] = [];
        /** Since when each free seat is free. */
        const free = Array.from({ length: settings.maxConnections }, () => world.clock.now());
        let isConnecting = false;
        const connect = async (): Promise<void> => {
          isConnecting = true;
          const answer = await world.connect(random.pick([...ENTRANCES]));
          if (answer === "in") {
            free.shift();
          } else if (free[0] !== undefined && world.clock.now() - free[0] > 250) {
            refused.push(`${answer} after a seat was free for ${world.clock.now() - free[0]} ms`);
          }
          await world.network.wait(pauseMs);
          isConnecting = false;
        };
        for (let step = 0; step < 400; step++) {
          const { clients } = world;
          if (random.chance(clients < settings.maxConnections - 5 ? 0.2 : 0.45)) {
            random.some(world.relays, 0.5)[0]?.leave();
            if (world.clients < clients) {
              free.push(world.clock.now());
            }
          } else if (!isConnecting) {
            void connect();
          }
          await world.clock.advance(random.between(1, 400));
        }
        expect([refused, world.faults]).toEqual([[], []]);
      }),
      { numRuns: 60 },
    );
  });
});
