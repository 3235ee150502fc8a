import { describe, expect, it } from "vitest";

import { Cursor } from "../../../src/client/cursor.ts";

const at = (id: string, log: string | undefined = "a"): { id: string; log: string | undefined } => ({
  id,
  log,
});

describe("a cursor", () => {
  it("moves forward along the ids of a log, and refuses an equal or lower one", () => {
    const cursor = new Cursor(at("41"));
    expect(cursor.move(at("42"))).toBe(true);
    expect(cursor.move(at("42"))).toBe(false);
    expect(cursor.move(at("9"))).toBe(false);
    expect(cursor.move(at("100"))).toBe(true);
    expect(cursor.position).toEqual(at("100"));
  });

  it("compares ids as numbers, up to 2^53", () => {
    const cursor = new Cursor(at("9007199254740990"));
    expect(cursor.move(at("9007199254740991"))).toBe(true);
    expect(cursor.move(at("9007199254740990"))).toBe(false);
  });

  it("moves back when the log is different", () => {
    const cursor = new Cursor(at("900"));
    expect(cursor.move(at("3", "b"))).toBe(true);
    expect(cursor.position).toEqual(at("3", "b"));
  });

  it("accepts any id if the service names no log, or if its ids are not decimal", () => {
    const cursor = new Cursor({ id: "5", log: undefined });
    expect(cursor.move({ id: "1", log: undefined })).toBe(true);
    expect(cursor.move({ id: "b", log: "a" })).toBe(true);
    expect(cursor.move({ id: "a", log: "a" })).toBe(true);
  });

  it("jumps back", () => {
    const cursor = new Cursor(at("900"));
    cursor.jump(at("12"));
    expect(cursor.id).toBe("12");
  });
});
