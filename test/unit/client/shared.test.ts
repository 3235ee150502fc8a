import { beforeEach, describe, expect, it } from "vitest";

import { SSEClient, type SSEProblem } from "../../../src/client/client.ts";
import type { SSEClientOptions } from "../../../src/client/types.ts";
import { FakeBrowser, settle, type FakeTab } from "../../support/client-world.ts";

let browser: FakeBrowser;

beforeEach(() => {
  browser = new FakeBrowser();
});

interface Board {
  readonly tab: FakeTab;
  readonly client: SSEClient;
  readonly ids: string[];
  readonly states: string[];
  readonly errors: SSEProblem[];
}

async function openBoard(options: SSEClientOptions = {}): Promise<Board> {
  const tab = browser.openTab();
  const client = new SSEClient({ shared: true, ...options }, tab.environment);
  const ids: string[] = [];
  const states: string[] = [];
  const errors: SSEProblem[] = [];
  client.on("*", (_, { id }) => ids.push(id));
  client.onStateChange((state) => states.push(state));
  client.onError((problem) => errors.push(problem));
  client.connect();
  await browser.advance(50);
  return { tab, client, ids, states, errors };
}

/** Clients in separate tabs. The first one leads and is connected. */
async function openBoards<const Count extends number>(
  count: Count,
  options: SSEClientOptions = {},
): Promise<Board[]> {
  const boards: Board[] = [];
  for (let index = 0; index < count; index++) {
    boards.push(await openBoard(options));
    if (index === 0) {
      boards[0]?.tab.last.open();
      await settle();
    }
  }
  return boards;
}

function pick(boards: readonly Board[], index: number): Board {
  const board = boards[index];
  if (board === undefined) {
    throw new Error(`There is no board ${index}.`);
  }
  return board;
}

const requestsOf = (boards: readonly Board[]): number[] => boards.map(({ tab }) => tab.exchanges.length);

describe("tabs that share", () => {
  it("hold one connection, and each gets every event once", async () => {
    const boards = await openBoards(4);
    pick(boards, 0).tab.last.event(42).event(43);
    await settle();
    expect(requestsOf(boards)).toEqual([1, 0, 0, 0]);
    expect(boards.map(({ ids }) => ids)).toEqual(boards.map(() => ["42", "43"]));
    expect(boards.map(({ client }) => client.state)).toEqual(Array(4).fill("connected"));
    expect(boards.map(({ client }) => client.lastEventId)).toEqual(Array(4).fill("43"));
    expect(boards.map(({ states }) => states)).toEqual(boards.map(() => ["connecting", "connected"]));
  });

  it("get the events of the service itself, and the id of a heartbeat", async () => {
    const boards = await openBoards(2);
    const got: unknown[] = [];
    const { client } = pick(boards, 1);
    client.on("gap", (data, { id }) => got.push(["gap", data, id]));
    client.on("close", (data) => got.push(["close", data]));
    const { last } = pick(boards, 0).tab;
    last.bytes(": heartbeat\nid: 57\n\n");
    await settle();
    expect(client.lastEventId).toBe("57");
    last.frame({ event: "gap", id: 120, data: '{"reason":"expired"}' }).close("max_age", 500);
    await settle();
    expect(got).toEqual([
      ["gap", { reason: "expired" }, "120"],
      ["close", { reason: "max_age", retry_after_ms: 500 }],
    ]);
    expect(client.state).toBe("reconnecting");
  });

  it("get `connected` when they join later too", async () => {
    await openBoards(1);
    const tab = browser.openTab();
    const client = new SSEClient({ shared: true }, tab.environment);
    const got: unknown[] = [];
    client.on("connected", (data) => got.push(data));
    client.connect();
    await browser.advance(50);
    expect(got).toEqual([expect.objectContaining({ client_id: "c", log: "log-a" })]);
  });

  it("start at the position of the tab that holds the connection", async () => {
    const boards = await openBoards(1);
    pick(boards, 0).tab.last.event(42);
    await settle();
    const late = await openBoard();
    expect(late.client.lastEventId).toBe("42");
    pick(boards, 0).tab.last.event(43);
    await settle();
    expect(late.ids).toEqual(["43"]);
    expect(late.tab.exchanges).toEqual([]);
  });

  it("have the state of the tab that holds the connection", async () => {
    const boards = await openBoards(2);
    pick(boards, 0).tab.last.cut();
    await settle();
    expect(boards.map(({ client }) => client.state)).toEqual(["reconnecting", "reconnecting"]);
    await browser.advance(1_500);
    pick(boards, 0).tab.last.open();
    await settle();
    expect(boards.map(({ client }) => client.state)).toEqual(["connected", "connected"]);
  });

  it.each<[string, SSEClientOptions, SSEClientOptions]>([
    ["another filter", { types: ["a"] }, { types: ["b"] }],
    ["another channel", { channel: "a" }, { channel: "b" }],
    ["another name", { shared: "ann" }, { shared: "bob" }],
    ["no wish to share", {}, { shared: false }],
  ])("do not share with those that have %s", async (_, mine, theirs) => {
    const one = await openBoard(mine);
    const other = await openBoard(theirs);
    expect(requestsOf([one, other])).toEqual([1, 1]);
  });

  it("connect separately if the browser has no locks", async () => {
    const tab = browser.openTab();
    new SSEClient({ shared: true }, { ...tab.environment, tabs: undefined }).connect();
    await settle();
    expect(tab.exchanges).toHaveLength(1);
  });

  it("connect separately if the browser refuses locks", async () => {
    const tab = browser.openTab();
    const { tabs } = tab.environment;
    const forbidden = { request: () => Promise.reject(new DOMException("sandboxed", "SecurityError")) };
    const environment = { ...tab.environment, tabs: tabs && { ...tabs, locks: forbidden } };
    const client = new SSEClient({ shared: true }, environment);
    client.connect();
    await settle();
    tab.last.open();
    await settle();
    expect(client.state).toBe("connected");
    client.disconnect();
    await settle();
    expect(tab.exchanges.map(({ isAborted }) => isAborted)).toEqual([true]);
  });
});

describe("when the tab that holds the connection", () => {
  it.each<[string, (board: Board) => void]>([
    ["is closed", ({ tab }) => tab.page.fire("pagehide")],
    ["crashes", ({ tab }) => tab.crash()],
    ["disconnects", ({ client }) => client.disconnect()],
  ])("%s, another resumes after the last id, and no tab loses or doubles an event", async (_, end) => {
    const boards = await openBoards(3);
    pick(boards, 0).tab.last.event(42).event(43);
    await settle();
    end(pick(boards, 0));
    await browser.advance(50);
    expect(requestsOf(boards)).toEqual([1, 1, 0]);
    const { last } = pick(boards, 1).tab;
    expect(last.headers.get("Last-Event-ID")).toBe("43");
    expect(last.query).toEqual({ log: "log-a" });
    last.open({ at: "43" }).event(44).event(45);
    await settle();
    expect(boards.slice(1).map(({ ids }) => ids.join(" "))).toEqual(Array(2).fill("42 43 44 45"));
    expect(boards.slice(1).map(({ client }) => client.state)).toEqual(["connected", "connected"]);
  });

  it("is closed, and then the next one too, the third takes over", async () => {
    const boards = await openBoards(3);
    pick(boards, 0).tab.crash();
    await browser.advance(50);
    pick(boards, 1).tab.last.open().event(42);
    await settle();
    pick(boards, 1).tab.crash();
    await browser.advance(50);
    expect(pick(boards, 2).tab.last.headers.get("Last-Event-ID")).toBe("42");
    expect(requestsOf(boards)).toEqual([1, 1, 1]);
  });

  it("freezes with its lock, a tab that is shown takes over within 3 s", async () => {
    const boards = await openBoards(2);
    pick(boards, 0).tab.isFrozen = true;
    pick(boards, 1).tab.page.setHidden(true);
    pick(boards, 1).tab.page.setHidden(false);
    await browser.advance(3_000);
    expect(requestsOf(boards)).toEqual([1, 1]);
    expect(pick(boards, 1).tab.last.headers.get("Last-Event-ID")).toBe("41");
  });

  it("freezes with its lock, a tab that joins takes over within 3 s", async () => {
    const boards = await openBoards(1);
    pick(boards, 0).tab.isFrozen = true;
    const late = await openBoard();
    await browser.advance(3_000);
    expect(late.tab.exchanges).toHaveLength(1);
  });

  it("freezes with its lock, another tab notices its silence and takes over within 90 s", async () => {
    const boards = await openBoards(2);
    pick(boards, 0).tab.isFrozen = true;
    await browser.advance(74_000);
    expect(requestsOf(boards)).toEqual([1, 0]);
    await browser.advance(16_000);
    expect(requestsOf(boards)).toEqual([1, 1]);
  });

  it("wakes up after another tab took over, it closes its stream and follows", async () => {
    const boards = await openBoards(2);
    const [old, next] = [pick(boards, 0), pick(boards, 1)];
    old.tab.isFrozen = true;
    await browser.advance(90_000);
    next.tab.last.open({ at: "41" }).event(42);
    await settle();
    old.tab.isFrozen = false;
    await browser.advance(100);
    expect(old.tab.exchanges.at(0)?.isAborted).toBe(true);
    next.tab.last.event(43);
    await browser.advance(100);
    old.tab.exchanges.at(1)?.open({ at: "41" }).event(42).event(43);
    await browser.advance(100);
    next.tab.last.event(44);
    await browser.advance(100);
    expect(old.ids).toEqual(["42", "43", "44"]);
    expect(next.ids).toEqual(["42", "43", "44"]);
  });

  it("sends nothing for long, no other tab takes over", async () => {
    const boards = await openBoards(2);
    for (let minute = 0; minute < 10; minute++) {
      pick(boards, 0).tab.last.heartbeat();
      await browser.advance(60_000);
    }
    expect(requestsOf(boards)).toEqual([1, 0]);
  });

  it("waits for a service that is down, no other tab takes over", async () => {
    const boards = await openBoards(2);
    const [leader, follower] = [pick(boards, 0), pick(boards, 1)];
    leader.tab.last.cut();
    for (let second = 0; second < 300; second++) {
      await browser.advance(1_000);
      if (leader.tab.exchanges.length > 1) {
        leader.tab.last.refuse();
      }
    }
    expect(leader.tab.exchanges.length).toBeGreaterThan(5);
    expect(follower.tab.exchanges).toEqual([]);
    expect(follower.client.state).toBe("reconnecting");
  });

  it("is hidden for long, a visible tab takes over", async () => {
    const boards = await openBoards(2);
    const [leader, follower] = [pick(boards, 0), pick(boards, 1)];
    leader.tab.page.setHidden(true);
    for (let minute = 0; minute < 5; minute++) {
      leader.tab.last.heartbeat();
      await browser.advance(60_000);
    }
    await browser.advance(100);
    expect(requestsOf(boards)).toEqual([1, 1]);
    follower.tab.last.open({ at: "41" }).event(42);
    await settle();
    expect(leader.ids).toEqual([]);
    leader.tab.page.setHidden(false);
    await browser.advance(100);
    // It has missed one event, and reads it from a stream of its own.
    expect(leader.tab.exchanges).toHaveLength(2);
    expect(leader.tab.last.headers.get("Last-Event-ID")).toBe("41");
    leader.tab.last.open({ at: "41" }).event(42);
    await settle();
    expect(leader.tab.last.isAborted).toBe(true);
    follower.tab.last.event(43);
    await settle();
    expect(leader.ids).toEqual(["42", "43"]);
  });

  it("gets a final refusal, the next tab tries with its own token", async () => {
    const one = await openBoard({ token: "bad" });
    const two = await openBoard({ token: "good" });
    one.tab.last.problem(401, "unauthorized");
    await browser.advance(100);
    expect(one.client.state).toBe("disconnected");
    expect(one.errors.map(({ status }) => status)).toEqual([401]);
    expect(two.tab.last.headers.get("Authorization")).toBe("Bearer good");
    two.tab.last.open();
    await settle();
    expect(two.client.state).toBe("connected");
    expect(two.errors).toEqual([]);
  });

  it("is kicked, all tabs stop", async () => {
    const boards = await openBoards(3);
    pick(boards, 0).tab.last.close("kicked", 5_000);
    await browser.advance(600_000);
    expect(boards.map(({ client }) => client.state)).toEqual(Array(3).fill("disconnected"));
    expect(boards.map(({ errors }) => errors.map(({ code }) => code).join(" "))).toEqual(
      Array(3).fill("kicked"),
    );
    expect(browser.openExchanges).toEqual([]);
  });
});

describe("a tab that needs past events", () => {
  it("reads them from a stream of its own, and follows once it has caught up", async () => {
    const boards = await openBoards(1);
    const leader = pick(boards, 0);
    leader.tab.last.event(42).event(43);
    await settle();
    const late = await openBoard({ lastEventId: "40", log: "log-a" });
    expect(late.tab.last.headers.get("Last-Event-ID")).toBe("40");
    late.tab.last.open({ at: "40" }).event(41).event(42);
    await settle();
    leader.tab.last.event(44);
    await settle();
    expect(late.ids).toEqual(["41", "42"]);
    late.tab.last.event(43).event(44);
    await settle();
    expect(late.tab.last.isAborted).toBe(true);
    leader.tab.last.event(45);
    await settle();
    expect(late.ids).toEqual(["41", "42", "43", "44", "45"]);
    expect(late.states).toEqual(["connecting", "connected"]);
    expect(leader.ids).toEqual(["42", "43", "44", "45"]);
  });

  it("is told about its gap, and the other tabs are not", async () => {
    const boards = await openBoards(1);
    const leader = pick(boards, 0);
    const late = await openBoard({ lastEventId: "900", log: "log-old" });
    const gaps: string[] = [];
    late.client.on("gap", ({ reason }) => gaps.push(`late ${reason}`));
    leader.client.on("gap", ({ reason }) => gaps.push(`leader ${reason}`));
    late.tab.last
      .open({ gap: true })
      .frame({ event: "gap", id: 41, data: '{"requested_id":"900","reason":"unknown"}' });
    await settle();
    expect(gaps).toEqual(["late unknown"]);
    expect(late.tab.last.isAborted).toBe(true);
    leader.tab.last.event(42);
    await settle();
    expect(late.ids).toEqual(["42"]);
  });

  it("starts in the past with `since` on a stream of its own", async () => {
    const boards = await openBoards(1, { since: "10m" });
    const late = await openBoard({ since: "10m" });
    expect(late.tab.last.query).toEqual({ since: "10m" });
    late.tab.last.open({ at: "39" }).event(40).event(41);
    await settle();
    expect(late.tab.last.isAborted).toBe(true);
    pick(boards, 0).tab.last.event(42);
    await settle();
    expect(late.ids).toEqual(["40", "41", "42"]);
  });

  it("keeps its own stream and shares it, if the leader leaves meanwhile", async () => {
    const boards = await openBoards(1);
    pick(boards, 0).tab.last.event(42);
    await settle();
    const late = await openBoard({ lastEventId: "40", log: "log-a" });
    late.tab.last.open({ at: "40" }).event(41);
    await settle();
    pick(boards, 0).tab.crash();
    await browser.advance(50);
    const third = await openBoard();
    late.tab.last.event(42).event(43);
    await settle();
    expect(late.tab.exchanges).toHaveLength(1);
    expect(late.ids).toEqual(["41", "42", "43"]);
    expect(third.ids).toEqual(["42", "43"]);
    expect(third.tab.exchanges).toEqual([]);
  });

  it("notices by the next leader's frame that it missed one of the last leader", async () => {
    const boards = await openBoards(3);
    const deaf = pick(boards, 2);
    deaf.tab.isFrozen = true;
    pick(boards, 0).tab.last.event(42);
    await settle();
    deaf.tab.isFrozen = false;
    pick(boards, 0).tab.last.event(43);
    await settle();
    expect(deaf.ids).toEqual([]);
    expect(deaf.tab.last.headers.get("Last-Event-ID")).toBe("41");
    deaf.tab.last.open({ at: "41" }).event(42).event(43);
    await settle();
    expect(deaf.ids).toEqual(["42", "43"]);
    expect(deaf.tab.last.isAborted).toBe(true);
  });
});

describe("leaving", () => {
  it("leaves no lock, no channel, no timer and no stream behind", async () => {
    const boards = await openBoards(3);
    for (const { client } of boards) {
      client.disconnect();
    }
    await browser.advance(100);
    expect(browser.openExchanges).toEqual([]);
    expect(browser.clock.pending).toBe(0);
    expect([...browser.lines.values()].map(({ size }) => size)).toEqual([0]);
    const next = await openBoard();
    expect(next.tab.exchanges).toHaveLength(1);
  });

  it("and coming back at once works", async () => {
    const boards = await openBoards(2);
    const { client, tab } = pick(boards, 0);
    client.disconnect();
    client.connect();
    await browser.advance(100);
    expect(browser.openExchanges).toHaveLength(1);
    pick(boards, 1).tab.exchanges.at(-1)?.open({ at: "41" }).event(42);
    tab.exchanges.at(1)?.open({ at: "41" }).event(42);
    await browser.advance(100);
    expect(boards.map(({ ids }) => ids)).toEqual([["42"], ["42"]]);
  });
});

describe("a message from another tab", () => {
  it("is ignored if it makes no sense", async () => {
    const boards = await openBoards(2);
    const [name] = [...browser.lines.keys()];
    const stranger = browser.openTab();
    const line = stranger.environment.tabs?.open(name ?? "", () => {});
    for (const word of [
      null,
      undefined,
      7,
      "hello",
      {},
      { word: "frame" },
      { word: "frame", after: { id: "9" }, frame: null },
      { word: "welcome" },
      [],
      { word: "x" },
    ]) {
      line?.say(word);
    }
    await settle();
    pick(boards, 0).tab.last.event(42);
    await settle();
    expect(boards.map(({ ids }) => ids)).toEqual([["42"], ["42"]]);
  });
});
