import { describe, expect, it } from "vitest";

import { refusalAtDoor } from "../../../../src/service/request/door.ts";

const NAMES = { allowed: [] };
const ORIGIN = "https://sse.example.com";

function codeOf(target: string, headers: Record<string, string> = {}): string | null {
  return refusalAtDoor(new Request(`${ORIGIN}${target}`, { headers }), NAMES)?.code ?? null;
}

describe("the door", () => {
  it("accepts the requests of our clients", () => {
    const ids = Array.from({ length: 100 }, (_, n) => String(n).padStart(128, "x")).join(",");
    expect(codeOf(`/api/events?project_id=${ids}`)).toBeNull();
    expect(codeOf("/api/events", { Authorization: `Bearer ${"j".repeat(8_192)}` })).toBeNull();
    expect(codeOf("/api/events", { Cookie: `a=${"b".repeat(7_000)}; c=${"d".repeat(8_192)}` })).toBeNull();
  });

  it("refuses a URL of more than 16 Ki characters", () => {
    const room = 16 * 1024 - `${ORIGIN}/?`.length;
    expect(codeOf(`/?${"a".repeat(room)}`)).toBeNull();
    expect(codeOf(`/?${"a".repeat(room + 1)}`)).toBe("uri_too_long");
  });

  it("refuses more than 512 parameters", () => {
    expect(codeOf(`/?${"&".repeat(511)}`)).toBeNull();
    expect(codeOf(`/?${"&".repeat(512)}`)).toBe("invalid_parameter");
  });

  it("refuses any header of more than 16 Ki characters", () => {
    const room = 16 * 1024 - "x".length;
    expect(codeOf("/", { X: "a".repeat(room) })).toBeNull();
    expect(codeOf("/", { X: "a".repeat(room + 1) })).toBe("headers_too_large");
  });

  it("refuses headers of more than 32 Ki characters together", () => {
    const half = "a".repeat(16 * 1024 - 1);
    expect(codeOf("/", { A: half, B: half })).toBeNull();
    expect(codeOf("/", { A: half, B: half, C: "" })).toBe("headers_too_large");
  });

  it("names each bound in its detail", () => {
    const refusal = refusalAtDoor(new Request(ORIGIN, { headers: { X: "a".repeat(20_000) } }), NAMES);
    expect(refusal?.message).toMatch(/16384.*32768/);
  });
});
