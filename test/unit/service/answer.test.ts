import { describe, expect, it } from "vitest";

import { answer, unwrap } from "../../../src/service/answer.ts";
import { HubError } from "../../../src/hub/errors.ts";

describe("an answer over RPC", () => {
  it("carries a value", async () => {
    expect(unwrap(await answer(() => 5))).toBe(5);
    expect(unwrap(await answer(() => Promise.resolve(null)))).toBeNull();
  });

  it("carries a refusal as plain data that becomes the same refusal again", async () => {
    const errors = [{ index: 3, field: "key", detail: "Taken." }];
    const answered = await answer(() => {
      throw new HubError("key_taken", "Nothing was stored.", { errors });
    });
    const carried = structuredClone(answered);
    expect(() => unwrap(carried)).toThrow(
      expect.objectContaining({
        name: "HubError",
        code: "key_taken",
        message: "Nothing was stored.",
        errors,
      }),
    );
  });

  it("carries the time to wait", async () => {
    const answered = await answer(() => {
      throw new HubError("rate_limited", "Too many.", { retryAfterSeconds: 42 });
    });
    expect(() => unwrap(structuredClone(answered))).toThrow(
      expect.objectContaining({ code: "rate_limited", retryAfterSeconds: 42 }),
    );
  });

  it("throws other errors on", async () => {
    await expect(answer(() => Promise.reject(new RangeError("a bug")))).rejects.toThrow(RangeError);
  });
});
