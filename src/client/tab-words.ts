import type { Position } from "./cursor.ts";
import { isObject, memberOf, type Frame } from "./decode.ts";

/** What tabs say to each other. */
export type Word =
  /** Who leads? */
  | { readonly word: "hello" }
  /** I do; this is where we are. */
  | { readonly word: "welcome"; readonly at: Position; readonly isOpen: boolean; readonly connected: string }
  /** A frame, and where the leader was before it: whoever was not there has missed something. */
  | {
      readonly word: "frame";
      readonly after: Position;
      readonly frame: Frame;
      readonly log: string | undefined;
    }
  | { readonly word: "connected" | "lost" | "beat" }
  /** It is over for all of us. */
  | { readonly word: "stop"; readonly code: string; readonly detail: string };

/** Whether it is something that we say: others may use the same name, for something else. */
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
