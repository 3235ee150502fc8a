import { describe, expect, it } from "vitest";

import { ReusedText } from "../../../../src/service/response/reused-text.ts";
import { FakeClock } from "../../../support/hub/fake-clock.ts";

/** Makes numbered texts, each of which takes some time. */
function slowly(
  clock: FakeClock,
  ms: number,
): { readonly make: () => Promise<string>; readonly made: () => number } {
  let made = 0;
  return {
    made: () => made,
    make: async () => {
      const text = `text ${++made}`;
      await new Promise<void>((resolve) => void clock.after(ms, resolve));
      return text;
    },
  };
}

describe("a reused text", () => {
  it("is made once for all requests of a second, counted from the start of its making", async () => {
    const clock = new FakeClock();
    const text = new ReusedText(clock);
    const { make } = slowly(clock, 300);
    const first = text.read(make);
    await clock.advance(100);
    const second = text.read(make);
    await clock.advance(220);
    expect(await Promise.all([first, second, text.read(make)])).toEqual(["text 1", "text 1", "text 1"]);
    await clock.advance(680);
    const next = text.read(make);
    await clock.advance(300);
    expect(await next).toBe("text 2");
  });

  it("is reused by all requests that wait for it, even if it takes longer than a second", async () => {
    const clock = new FakeClock();
    const text = new ReusedText(clock);
    const { make, made } = slowly(clock, 980);
    const early = text.read(make);
    await clock.advance(960);
    const late = text.read(make);
    await clock.advance(60);
    expect([await early, await late, made()]).toEqual(["text 1", "text 1", 1]);
  });

  it("is made by the next request if its making has failed", async () => {
    const clock = new FakeClock();
    const text = new ReusedText(clock);
    await expect(text.read(() => Promise.reject(new Error("gone")))).rejects.toThrow("gone");
    expect(await text.read(async () => "there")).toBe("there");
  });

  it("is made by a waiting request if its making was cut", async () => {
    const clock = new FakeClock();
    const text = new ReusedText(clock);
    void text.read(() => new Promise(() => {}));
    const waiting = text.read(async () => "there");
    await clock.advance(990);
    expect(await Promise.race([waiting, clock.settle()])).toBeUndefined();
    await clock.advance(30);
    expect(await waiting).toBe("there");
  });

  it("is not reused after the clock was set back", async () => {
    const clock = new FakeClock();
    const text = new ReusedText(clock);
    await text.read(async () => "before");
    clock.setBack(60_000);
    expect(await text.read(async () => "after")).toBe("after");
  });
});
