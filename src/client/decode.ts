import { createParser } from "eventsource-parser";

import { SSEProblem } from "./problem.ts";

/** One block of an event stream, as far as it says anything. */
export interface Frame {
  readonly id: string | undefined;
  /** Undefined: a block without data. It dispatches nothing, but its id counts: `: heartbeat` and `id: 57`. */
  readonly event: { readonly type: string; readonly text: string } | undefined;
}

/** Characters of one frame: several times what the service lets through. */
const LONGEST_FRAME = 1024 * 1024;

/**
 * Takes the chunks of an event stream and gives its frames.
 *
 * @throws SSEProblem `frame_too_large`, from the function that takes the chunks
 */
export function createDecoder(onFrame: (frame: Frame) => void): (chunk: Uint8Array) => void {
  const utf8 = new TextDecoder();
  let overflow: SSEProblem | undefined;
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
    maxBufferSize: LONGEST_FRAME,
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
    onError: ({ type, message }) => {
      if (type === "max-buffer-size-exceeded") {
        overflow = new SSEProblem("frame_too_large", message);
      }
    },
  });

  return (chunk) => {
    parser.feed(utf8.decode(chunk, { stream: true }));
    giveBareId();
    if (overflow !== undefined) {
      throw overflow;
    }
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
