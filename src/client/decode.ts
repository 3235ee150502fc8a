import { createParser } from "eventsource-parser";

import { FrameBound } from "./frame-bound.ts";
import { SSEProblem } from "./problem.ts";

/** One block of an event stream, as far as it says anything. */
export interface Frame {
  readonly id: string | undefined;
  /** Undefined: a block without data. It dispatches nothing, but its id counts: `: heartbeat` and `id: 57`. */
  readonly event: { readonly type: string; readonly text: string } | undefined;
}

/**
 * Takes the chunks of an event stream and gives its frames. The function that takes a chunk answers whether a frame,
 * a comment or a blank line has ended in it.
 *
 * @throws SSEProblem `frame_too_large`, from the function that takes the chunks
 */
export function createDecoder(onFrame: (frame: Frame) => void): (chunk: Uint8Array) => boolean {
  const utf8 = new TextDecoder();
  const bound = new FrameBound();
  let bareId: string | undefined;

  // The parser reports the id of every block, and before the event of the same block if there is one.
  const giveBareId = (): void => {
    if (bareId !== undefined) {
      const id = bareId;
      bareId = undefined;
      onFrame({ id, event: undefined });
    }
  };

  const parser = createParser({
    onId: (id) => {
      giveBareId();
      bareId = id;
    },
    onEvent: ({ id, event = "message", data }) => {
      if (id === undefined) {
        giveBareId();
      }
      bareId = undefined;
      onFrame({ id, event: { type: event, text: data } });
    },
  });

  return (chunk) => {
    const { within, ended } = bound.measure(chunk);
    parser.feed(utf8.decode(chunk.subarray(0, within), { stream: true }));
    giveBareId();
    if (within < chunk.length) {
      throw new SSEProblem("frame_too_large", "A frame has more than 1 MiB.");
    }
    return ended;
  };
}

/** The value of JSON; the text itself if it is not JSON. */
export function parseData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function isObject(data: unknown): data is Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null;
}

/** A member of what should be an object; undefined if it is not there. */
export function memberOf(data: unknown, name: string): unknown {
  return isObject(data) ? data[name] : undefined;
}
