import { describe, expect, it, vi } from "vitest";

import { RequestBudget } from "../../../../src/service/access/request-budget.ts";
import { HubError } from "../../../../src/hub/errors.ts";
import { FakeClock } from "../../../support/hub/fake-clock.ts";

type Rate = NonNullable<Parameters<RequestBudget["charge"]>[1]>;

/** Charges an address. Returns after how many seconds it may ask again; 0 if it has budget left. */
async function charge(budget: RequestBudget, address: string | null, rate?: Rate): Promise<number> {
  try {
    await budget.charge(address, rate);
    return 0;
  } catch (error) {
    if (error instanceof HubError && error.code === "rate_limited") {
      return error.retryAfterSeconds ?? Number.NaN;
    }
    throw error;
  }
}

describe("the budget of an address", () => {
  it("is used up by requests, and full again after a minute", async () => {
    const clock = new FakeClock();
    const budget = new RequestBudget(2, clock);
    expect([await charge(budget, "a"), await charge(budget, "a"), await charge(budget, "a")]).toEqual([
      0, 0, 60,
    ]);
    await clock.advance(59_999);
    expect(await charge(budget, "a")).toBe(1);
    await clock.advance(1);
    expect(await charge(budget, "a")).toBe(0);
  });

  it("is separate for each address, and an exempt address has none", async () => {
    const budget = new RequestBudget(1, new FakeClock());
    await charge(budget, "a");
    expect([await charge(budget, "a"), await charge(budget, "b")]).toEqual([60, 0]);
    expect([await charge(budget, null), await charge(budget, null)]).toEqual([0, 0]);
  });

  it("has no limit if it is 0", async () => {
    const budget = new RequestBudget(0, new FakeClock());
    expect([await charge(budget, "a"), await charge(budget, "a")]).toEqual([0, 0]);
  });
});

describe("the platform's count", () => {
  it("can refuse a request that the isolate would accept, and is not used for an exempt address", async () => {
    const limit = vi.fn<Rate["limit"]>().mockResolvedValue({ success: false });
    const budget = new RequestBudget(10, new FakeClock());
    expect(await charge(budget, "a", { limit })).toBe(60);
    expect(limit).toHaveBeenCalledExactlyOnceWith({ key: "a" });
    expect(await charge(budget, null, { limit })).toBe(0);
    expect(limit).toHaveBeenCalledOnce();
  });

  it("refuses no request if it fails", async () => {
    const limit = vi.fn<Rate["limit"]>().mockRejectedValue(new Error("unavailable"));
    expect(await charge(new RequestBudget(10, new FakeClock()), "a", { limit })).toBe(0);
  });
});
