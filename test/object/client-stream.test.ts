import { describe, expect, it } from "vitest";

import { TransformClientStream } from "../../src/edge/client-stream.ts";
import { outcomeOf } from "../support/hub/outcome.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Lets everything happen that is ready. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 0);
  });
}

function opened(): {
  stream: TransformClientStream;
  reader: ReadableStreamDefaultReader<Uint8Array>;
  peer: AbortController;
} {
  const peer = new AbortController();
  const stream = new TransformClientStream(peer.signal);
  return { stream, reader: stream.readable.getReader(), peer };
}

describe("the response of a client", () => {
  it("carries the bytes in order, and accepts a write when they are read", async () => {
    const { stream, reader } = opened();
    const writes = ["a", "b"].map((text) => outcomeOf(stream.write(encoder.encode(text))));
    await turn();
    expect(writes.at(-1)?.state).toBe("waiting");
    expect(decoder.decode((await reader.read()).value)).toBe("a");
    expect(decoder.decode((await reader.read()).value)).toBe("b");
    await turn();
    expect(writes.map(({ state }) => state)).toEqual(["done", "done"]);
  });

  it("ends after the written bytes, which does not count as leaving", async () => {
    const { stream, reader } = opened();
    const gone = outcomeOf(stream.gone);
    void stream.write(encoder.encode("a"));
    const end = outcomeOf(stream.end());
    await turn();
    expect(end.state).toBe("waiting");
    expect((await reader.read()).done).toBe(false);
    expect((await reader.read()).done).toBe(true);
    await turn();
    expect([end.state, gone.state]).toEqual(["done", "waiting"]);
  });

  it("is gone when the reader cancels, and refuses further writes", async () => {
    const { stream, reader } = opened();
    const gone = outcomeOf(stream.gone);
    await reader.cancel();
    await turn();
    const write = outcomeOf(stream.write(encoder.encode("a")));
    const end = outcomeOf(stream.end());
    await turn();
    expect(gone.state).toBe("done");
    expect(["waiting", "done"]).not.toContain(write.state);
    expect(["waiting", "done"]).not.toContain(end.state);
  });

  it("is gone when the runtime reports that the peer has left, even before the stream is opened", async () => {
    const { stream, peer } = opened();
    const gone = outcomeOf(stream.gone);
    await turn();
    expect(gone.state).toBe("waiting");
    peer.abort();
    const late = outcomeOf(new TransformClientStream(peer.signal).gone);
    await turn();
    expect([gone.state, late.state]).toEqual(["done", "done"]);
  });
});
