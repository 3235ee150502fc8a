import { setTimeout as sleep } from "node:timers/promises";

import { describe, expect, it } from "vitest";

import { openBoard, type Board } from "../support/board.ts";
import { useBrowserService } from "../support/browser-service.ts";
import { until } from "../support/until.ts";

const SHARED = "{ shared: true }";

const world = useBrowserService({ sse: { heartbeat_interval_seconds: 1 } });

async function openBoards(count: number): Promise<Board[]> {
  const boards = await Promise.all(
    Array.from({ length: count }, () => openBoard(world.context, world.service.url, SHARED)),
  );
  await Promise.all(boards.map((board) => board.untilConnected()));
  return boards;
}

async function untilStreams(count: number): Promise<void> {
  await until(async () => (await world.service.health()).sse.active_connections === count, {
    what: `${count} streams`,
    timeoutMs: 20_000,
  });
}

/** Publishes events one after the other, and returns their ids. */
async function publishUntil(stop: AbortSignal): Promise<string[]> {
  const ids: string[] = [];
  while (!stop.aborted) {
    const { events } = await world.service.publish({ type: "tick", data: ids.length });
    ids.push(...events.map(({ id }) => id));
    await sleep(5);
  }
  return ids;
}

/** The tab that has requested the stream. */
const leaderOf = async (boards: readonly Board[]): Promise<Board> =>
  until(
    async () => {
      const seen = await Promise.all(boards.map((board) => board.seen()));
      return boards.find((_, n) => seen[n]?.attempts.some(({ status }) => status === 200));
    },
    { what: "a tab that holds the stream", timeoutMs: 20_000 },
  );

const without = (boards: readonly Board[], gone: Board): Board[] => boards.filter((board) => board !== gone);

describe("tabs that share in Chromium", () => {
  it("hold one connection, and more than the six tabs that HTTP/1.1 allows get every event", async () => {
    const boards = await openBoards(7);
    await Promise.all(
      boards.map((board, n) =>
        board.page.evaluate(
          `globalThis.own = []; client.on(${n % 2 === 0 ? '"even"' : '"odd"'}, (_, { id }) => own.push(id));`,
        ),
      ),
    );
    expect((await world.service.health()).sse.active_connections).toBe(1);
    await world.service.publish(["even", "odd", "even", "odd"].map((type) => ({ type, data: {} })));
    for (const [n, board] of boards.entries()) {
      expect(await board.ids(4)).toEqual(["1", "2", "3", "4"]);
      expect(await board.page.evaluate("own")).toEqual(n % 2 === 0 ? ["1", "3"] : ["2", "4"]);
    }
    const seen = await Promise.all(boards.map((board) => board.seen()));
    expect(seen.flatMap(({ attempts }) => attempts)).toHaveLength(1);
  });

  it("hold one for each filter", async () => {
    await openBoards(2);
    const filtered = await openBoard(world.context, world.service.url, `{ shared: true, types: ["rare"] }`);
    await filtered.untilConnected();
    expect((await world.service.health()).sse.active_connections).toBe(2);
    await world.service.publish([
      { type: "tick", data: {} },
      { type: "rare", data: {} },
    ]);
    expect(await filtered.ids(1)).toEqual(["2"]);
  });

  it("miss and double nothing when the tab with the stream is closed, and the next one crashes", async () => {
    const boards = await openBoards(4);
    const stop = new AbortController();
    const publishing = publishUntil(stop.signal);
    await Promise.all(boards.map((board) => board.ids(20)));

    const leader = await leaderOf(boards);
    await leader.page.close();
    const three = without(boards, leader);
    const heir = await leaderOf(three);

    const late = await openBoard(world.context, world.service.url, SHARED);
    await late.ids(20);

    const crash = new Promise((resolve) => heir.page.once("crash", resolve));
    void heir.page.goto("chrome://crash").catch(() => undefined);
    await crash;
    const rest = [...without(three, heir), late];
    await leaderOf(rest);
    await Promise.all(
      rest.map(async (board) => {
        const { length } = (await board.seen()).events;
        await board.ids(length + 20);
      }),
    );

    stop.abort();
    const published = await publishing;
    for (const board of rest) {
      const [first = ""] = await board.ids(1);
      const owed = published.slice(board === late ? published.indexOf(first) : 0);
      expect(await board.ids(owed.length)).toEqual(owed);
    }
    await untilStreams(1);
    expect(rest.flatMap(({ complaints }) => complaints)).toEqual([]);
  });

  it("reconnect together after a kill -9, over one connection", async () => {
    const boards = await openBoards(3);
    await world.service.publish({ type: "tick", data: 1 });
    await Promise.all(boards.map((board) => board.ids(1)));
    await world.service.kill();
    await Promise.all(
      boards.map((board) => board.until("a loss", ({ states }) => states.at(-1)?.state === "reconnecting")),
    );
    await world.restart();
    await world.service.publish({ type: "tick", data: 2 });
    await Promise.all(boards.map((board) => board.untilConnected(2)));
    await world.service.publish({ type: "tick", data: 3 });
    for (const board of boards) {
      expect(await board.ids(3)).toEqual(["1", "2", "3"]);
    }
    await untilStreams(1);
  });

  it("hold no connection after the last of them is closed", async () => {
    const boards = await openBoards(2);
    const leader = await leaderOf(boards);
    await leader.page.close();
    const [last] = without(boards, leader);
    await world.service.publish({ type: "tick", data: 1 });
    expect(await last?.ids(1)).toEqual(["1"]);
    await last?.page.close();
    await untilStreams(0);
  });
});
