import { createParser } from "eventsource-parser";

import { TEXT_COMMENT } from "./encode.ts";
import { FrameBound } from "./frame-bound.ts";

/** One block of an event stream that has an id, data or both. */
export interface Frame {
  readonly id: string | undefined;
  /** Undefined for a block without data, like `: heartbeat` with `id: 57`. It dispatches nothing, but its id counts. */
  readonly event: FrameEvent | undefined;
}

interface FrameEvent {
  readonly type: string;
  readonly text: string;
  /** True if the text is not JSON, although it looks like it. */
  readonly isText?: boolean;
}

/**
 * Decodes an event stream.
 *
 * @param tooLarge the error for a frame of more than 1 MiB
 * @returns a function that takes the next chunk and tells whether a frame, a comment or a blank line ended in it. It
 *   throws the error of `tooLarge`
 */
export function createDecoder(
  onFrame: (frame: Frame) => void,
  tooLarge: () => Error,
): (chunk: Uint8Array) => boolean {
  const utf8 = new TextDecoder();
  const bound = new FrameBound();
  let bareId: string | undefined;
  let isText = false;

  // The parser reports the id of a block before its event. A block without an event gets no second call.
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
    onComment: (comment) => {
      isText ||= comment === TEXT_COMMENT;
    },
    onEvent: ({ id, event = "message", data }) => {
      if (id === undefined) {
        giveBareId();
      }
      bareId = undefined;
      const marked = isText;
      isText = false;
      onFrame({ id, event: { type: event, text: data, ...(marked && { isText: true }) } });
    },
  });

  return (chunk) => {
    const { within, ended } = bound.measure(chunk);
    parser.feed(utf8.decode(chunk.subarray(0, within), { stream: true }));
    giveBareId();
    if (within < chunk.length) {
      throw tooLarge();
    }
    return ended;
  };
}
