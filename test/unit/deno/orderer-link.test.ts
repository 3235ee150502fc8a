import { beforeEach, describe, expect, it } from "vitest";

import { OrdererLink } from "../../../src/deno/orderer-link.ts";
import { Registration } from "../../../src/deno/registration.ts";
import { RpcFailure } from "../../../src/deno/rpc/caller.ts";
import { ServingProcesses } from "../../../src/deno/serving-processes.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";

const CALL = { port: "hub", of: "news", method: "health", args: [] };
const FIRST = { port: 4001, token: "first" };
const SECOND = { port: 4002, token: "second" };

let clock: FakeClock;
/** The requests, as `port token`. */
let asked: string[];

const reach = async (request: Request): Promise<Response> => {
  asked.push(`${new URL(request.url).port} ${request.headers.get("Authorization")}`);
  return Response.json({ value: asked.length });
};

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
});

describe("the link to the orderer", () => {
  let link: OrdererLink;

  beforeEach(() => {
    link = new OrdererLink({ clock, fetch: reach });
  });

  it("lets calls wait until the launcher tells where the orderer is", async () => {
    const answers = Promise.all([link.call(CALL), link.call(CALL)]);
    await clock.advance(2_000);
    expect(asked).toEqual([]);
    link.moved(FIRST);
    expect(await answers).toEqual([1, 2]);
    expect(asked).toEqual(["4001 Bearer first", "4001 Bearer first"]);
  });

  it("sends nothing to an orderer that has ended, and everything to the next one", async () => {
    link.moved(FIRST);
    await link.call(CALL);
    link.moved(null);
    const answer = link.call(CALL);
    await clock.advance(100);
    link.moved(SECOND);
    await answer;
    expect(asked).toEqual(["4001 Bearer first", "4002 Bearer second"]);
  });

  it("follows an orderer whose end it was not told", async () => {
    link.moved(FIRST);
    link.moved(SECOND);
    await link.call(CALL);
    expect(asked).toEqual(["4002 Bearer second"]);
  });

  it("lets a call wait through several orderers that never listened", async () => {
    const answer = link.call(CALL);
    link.moved(null);
    link.moved(null);
    link.moved(FIRST);
    expect(await answer).toBe(1);
  });

  it("fails after 3 s without an orderer", async () => {
    let outcome: unknown = "none";
    void link.call(CALL).catch((error: unknown) => {
      outcome = error;
    });
    await clock.advance(2_999);
    expect(outcome).toBe("none");
    await clock.advance(1);
    expect(outcome).toBeInstanceOf(RpcFailure);
    expect(clock.timers).toBe(0);
  });
});

describe("the registration of a serving process", () => {
  const warnings: unknown[] = [];
  let tries: number;
  let works: boolean;
  let registration: Registration;

  beforeEach(() => {
    tries = 0;
    works = true;
    warnings.length = 0;
    const register = async (): Promise<void> => {
      tries++;
      if (!works) {
        throw new RpcFailure("no answer");
      }
    };
    registration = new Registration(register, clock, (_, event) => void warnings.push(event));
  });

  it("happens once with each orderer", async () => {
    registration.moved(FIRST);
    await clock.advance(60_000);
    expect(tries).toBe(1);
    registration.moved(null);
    registration.moved(SECOND);
    await clock.advance(60_000);
    expect(tries).toBe(2);
  });

  it("is tried every 500 ms until it works", async () => {
    works = false;
    registration.moved(FIRST);
    await clock.advance(1_100);
    expect(tries).toBe(3);
    works = true;
    await clock.advance(60_000);
    expect([tries, warnings]).toEqual([4, ["not_registered", "not_registered", "not_registered"]]);
  });

  it("is not tried with an orderer that has ended", async () => {
    works = false;
    registration.moved(FIRST);
    await clock.advance(100);
    registration.moved(null);
    await clock.advance(60_000);
    expect(tries).toBe(1);
  });
});

describe("the serving processes of an orderer", () => {
  it("are reached by their numbers, each where its last life has registered", async () => {
    const registered: number[] = [];
    const processes = new ServingProcesses({ clock, fetch: reach }, (number) => registered.push(number));
    expect(() => processes.of(1)).toThrow("the serving process 1 has not registered");
    await processes.register(1, FIRST);
    await processes.register(2, SECOND);
    await processes.of(1).call(CALL);
    await processes.register(1, { port: 4003, token: "third" });
    await processes.of(1).call(CALL);
    expect(asked).toEqual(["4001 Bearer first", "4003 Bearer third"]);
    expect(registered).toEqual([1, 2, 1]);
  });
});
