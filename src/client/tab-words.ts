import type { Position } from "./cursor.ts";
import type { Frame } from "../sse/decode.ts";
import { isObject, memberOf } from "./decode.ts";

/** A message between tabs. */
export type Word =
  /** Asks the leader to answer. */
  | { readonly word: "hello" }
  /** The answer of the leader, with its position. */
  | { readonly word: "welcome"; readonly at: Position; readonly isOpen: boolean; readonly connected: string }
  /** A frame, and the position of the leader before it. A tab at an earlier position has missed something. */
  | {
      readonly word: "frame";
      readonly after: Position;
      readonly frame: Frame;
      readonly log: string | undefined;
    }
  | { readonly word: "connected" | "lost" | "beat" }
  /** All tabs stop. */
  | { readonly word: "stop"; readonly code: string; readonly detail: string };

/** Checks a message, because other code of the origin can use the same channel. */
export function isWord(value: unknown): value is Word {
  switch (memberOf(value, "word")) {
    case "hello":
    case "connected":
    case "lost":
    case "beat":
    case "stop":
      return true;
    case "welcome":
      return isPosition(memberOf(value, "at"));
    case "frame":
      return isPosition(memberOf(value, "after")) && isObject(memberOf(value, "frame"));
    default:
      return false;
  }
}

function isPosition(value: unknown): boolean {
  return typeof memberOf(value, "id") === "string";
}
