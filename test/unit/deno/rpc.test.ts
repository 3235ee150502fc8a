import { beforeEach, describe, expect, it } from "vitest";

import type { RpcAddress } from "../../../src/deno/rpc/call.ts";
import { ANSWER_BYTES, CALL_BYTES } from "../../../src/deno/rpc/call.ts";
import { Caller, RpcFailure } from "../../../src/deno/rpc/caller.ts";
import { remotePort } from "../../../src/deno/rpc/remote-port.ts";
import { createRpcServer } from "../../../src/deno/rpc/server.ts";
import { HubError } from "../../../src/hub/errors.ts";
import { STREAM_HEADERS } from "../../../src/service/response/stream-headers.ts";
import { FakeClock } from "../../support/hub/fake-clock.ts";

/** A port with one method of each kind. */
interface Board {
  echo(...values: unknown[]): Promise<unknown>;
  refuse(): Promise<never>;
  breakDown(): Promise<never>;
  runOutOfSpace(): Promise<never>;
  hang(): Promise<never>;
  countArguments(first?: string, second?: string): Promise<number>;
  stream(text: string): Promise<Response>;
}

const METHODS = {
  echo: true,
  refuse: true,
  breakDown: true,
  runOutOfSpace: true,
  hang: true,
  countArguments: true,
  stream: true,
} as const;

const address: RpcAddress = { port: 4711, token: "the token" };
const clock = new FakeClock();
let logged: { event: string; fields: unknown }[];
let cancelled: string[];
let serve: (request: Request) => Promise<Response>;

function boardOf(channel: string): Board {
  return {
    echo: async (...values) => [channel, ...values],
    refuse: async () => {
      throw new HubError("key_taken", "Nothing was stored.", {
        errors: [{ index: 3, field: "key", detail: "Taken." }],
        retryAfterSeconds: 7,
      });
    },
    breakDown: () => Promise.reject(new RangeError("a secret of the machine")),
    runOutOfSpace: () => Promise.reject(new Error("disk full")),
    hang: () => new Promise(() => {}),
    countArguments: async (...args) => args.length,
    stream: async (text) =>
      new Response(
        new ReadableStream({
          start: (controller) => controller.enqueue(new TextEncoder().encode(`${channel}: ${text}`)),
          cancel: () => void cancelled.push(text),
        }),
        { headers: STREAM_HEADERS },
      ),
  };
}

beforeEach(() => {
  logged = [];
  cancelled = [];
  serve = createRpcServer({
    token: address.token,
    ports: { board: boardOf },
    logger: (_, event, fields) => void logged.push({ event, fields }),
    refusalOf: (error) =>
      (error as Error).message === "disk full" ? new HubError("storage_full", "The disk is full.") : null,
  });
});

/** A caller whose requests reach the server without a socket. */
const callerOf = ({ token = address.token, reach = (request: Request) => serve(request) } = {}): Caller =>
  new Caller({ ...address, token }, { clock, fetch: reach });

const board = (options: Parameters<typeof callerOf>[0] = {}): Board =>
  remotePort<Board>(callerOf(options), METHODS, "board", "news");

const post = (body: string, token: string | null = address.token): Promise<Response> =>
  serve(
    new Request("http://127.0.0.1/rpc", {
      method: "POST",
      headers: token === null ? {} : { Authorization: `Bearer ${token}` },
      body,
    }),
  );

const open = (method: string): Promise<ReadableStream<Uint8Array>> =>
  callerOf().open({ port: "board", of: "news", method, args: ["hello"] });

const refuseConnection = (): Promise<Response> => Promise.reject(new TypeError("connection refused"));

const serveUnlessAborted = (request: Request): Promise<Response> =>
  request.signal.aborted ? Promise.reject(request.signal.reason as Error) : serve(request);

describe("a call of another process", () => {
  it("goes to one URL of the loopback interface, and does not follow a redirect", async () => {
    const seen: Request[] = [];
    await board({
      reach: (request) => {
        seen.push(request.clone());
        return serve(request);
      },
    }).echo(1);
    expect(seen[0]).toMatchObject({ url: "http://127.0.0.1:4711/rpc", method: "POST", redirect: "error" });
  });

  it("carries the channel, the arguments and the value", async () => {
    const value = { a: [1, null, 'ä"\\\n\u2028'], b: { c: true } };
    expect(await board().echo(value, "x")).toEqual(["news", value, "x"]);
  });

  it("carries no value as no value", async () => {
    const port = remotePort<{ nothing(): Promise<void> }>(callerOf(), { nothing: true }, "quiet");
    serve = createRpcServer({
      token: address.token,
      ports: { quiet: () => ({ nothing: async () => {} }) },
      logger: () => {},
      refusalOf: () => null,
    });
    expect(await port.nothing()).toBeUndefined();
  });

  it("leaves out absent arguments at the end, so that defaults apply", async () => {
    expect(await board().countArguments(undefined, undefined)).toBe(0);
    expect(await board().countArguments("a", undefined)).toBe(1);
    expect(await board().countArguments(undefined, "b")).toBe(2);
  });

  it("throws the refusal of the method again", async () => {
    await expect(board().refuse()).rejects.toMatchObject({
      name: "HubError",
      code: "key_taken",
      message: "Nothing was stored.",
      errors: [{ index: 3, field: "key", detail: "Taken." }],
      retryAfterSeconds: 7,
    });
    expect(logged).toEqual([]);
  });

  it("turns a known failure of the platform into a refusal", async () => {
    await expect(board().runOutOfSpace()).rejects.toMatchObject({ code: "storage_full" });
  });

  it("tells the caller nothing about a bug, and logs it where it is", async () => {
    const failure = await board()
      .breakDown()
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RpcFailure);
    expect(String(failure)).toContain("board.breakDown");
    expect(String(failure)).not.toContain("secret");
    expect(logged).toMatchObject([{ event: "call_failed", fields: { port: "board", method: "breakDown" } }]);
    expect(JSON.stringify(logged)).toContain("a secret of the machine");
  });

  it("fails if there is no answer within 10 s", async () => {
    const aborted = Promise.withResolvers<Response>();
    let outcome: unknown = "none";
    const reach = (request: Request): Promise<Response> => {
      request.signal.addEventListener("abort", () => aborted.reject(request.signal.reason));
      return aborted.promise;
    };
    void board({ reach })
      .hang()
      .catch((error: unknown) => {
        outcome = error;
      });
    await clock.advance(9_999);
    expect(outcome).toBe("none");
    await clock.advance(1);
    expect(outcome).toBeInstanceOf(RpcFailure);
    expect(String(outcome)).toContain("board.hang has failed: Error: there was no answer within 10000 ms");
    expect(clock.timers).toBe(0);
  });

  it("fails if the other process cannot be reached", async () => {
    await expect(board({ reach: refuseConnection }).echo()).rejects.toThrow(RpcFailure);
  });

  it.each([
    ["no JSON", () => new Response("<html>")],
    ["a status", () => new Response(null, { status: 502 })],
    ["nothing", () => new Response("")],
  ])("fails if it is answered with %s", async (_, answer) => {
    await expect(board({ reach: async () => answer() }).echo()).rejects.toThrow(RpcFailure);
  });

  it("stops reading an answer that is too large", async () => {
    let chunks = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        chunks++;
        controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
      },
    });
    await expect(board({ reach: async () => new Response(endless) }).echo()).rejects.toThrow(
      `the body has more than ${ANSWER_BYTES} bytes`,
    );
    expect(chunks).toBeLessThan(40);
  });
});

describe("a stream of another process", () => {
  it("is handed over as it is", async () => {
    const reader = (await open("stream")).getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("news: hello");
  });

  it("ends at the other process when its reader leaves", async () => {
    await (await open("stream")).cancel();
    expect(cancelled).toEqual(["hello"]);
  });

  it("may stay open for longer than an answer may take", async () => {
    const stream = await open("stream");
    await clock.advance(60_000);
    const { value } = await stream.getReader().read();
    expect(value?.byteLength).toBeGreaterThan(0);
  });

  it("is refused with the refusal of the method", async () => {
    await expect(open("refuse")).rejects.toMatchObject({ code: "key_taken" });
  });

  it("fails if the method returns a value", async () => {
    await expect(open("echo")).rejects.toThrow("the answer is not a stream");
  });

  it("is not opened if it is no longer wanted", async () => {
    const reach = serveUnlessAborted;
    const call = { port: "board", of: "", method: "stream", args: [] };
    await expect(callerOf({ reach }).open(call, AbortSignal.abort())).rejects.toThrow(RpcFailure);
  });
});

describe("the server of calls", () => {
  const good = JSON.stringify({ port: "board", of: "", method: "echo", args: [] });

  it.each([null, "", "another token", "the token2", "the toke"])("refuses the token %j", async (token) => {
    const answer = await post(good, token);
    expect([answer.status, await answer.text()]).toEqual([401, ""]);
  });

  it("does not read the body of a request without the token", async () => {
    let pulls = 0;
    const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
    const request = new Request("http://127.0.0.1/rpc", {
      method: "POST",
      body,
      duplex: "half",
    } as RequestInit);
    expect((await serve(request)).status).toBe(401);
    expect(pulls).toBe(0);
  });

  it("has no other path and no other method", async () => {
    const headers = { Authorization: `Bearer ${address.token}` };
    for (const request of [
      new Request("http://127.0.0.1/", { method: "POST", headers, body: good }),
      new Request("http://127.0.0.1/rpc", { headers }),
      new Request("http://127.0.0.1/rpc/", { method: "POST", headers, body: good }),
    ]) {
      expect((await serve(request)).status).toBe(404);
    }
  });

  it.each([
    ["no JSON", "{"],
    ["nothing", ""],
    ["null", "null"],
    ["another port", JSON.stringify({ port: "door", of: "", method: "echo", args: [] })],
    ["another method", JSON.stringify({ port: "board", of: "", method: "burn", args: [] })],
    ["a method of every object", JSON.stringify({ port: "board", of: "", method: "toString", args: [] })],
    ["a port of every object", JSON.stringify({ port: "constructor", of: "", method: "keys", args: [{}] })],
    ["no arguments", JSON.stringify({ port: "board", of: "", method: "echo" })],
    ["arguments that are no list", JSON.stringify({ port: "board", of: "", method: "echo", args: "abc" })],
  ])("refuses a call with %s, and says so in the log", async (_, body) => {
    const answer = await post(body);
    expect([answer.status, await answer.text()]).toEqual([400, ""]);
    expect(logged).toMatchObject([{ event: "call_not_answered" }]);
  });

  it("refuses a call that says that it is too large, before it comes", async () => {
    let pulls = 0;
    const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
    const headers = { Authorization: `Bearer ${address.token}`, "Content-Length": String(CALL_BYTES + 1) };
    const init = { method: "POST", headers, body, duplex: "half" } as RequestInit;
    expect((await serve(new Request("http://127.0.0.1/rpc", init))).status).toBe(413);
    expect(pulls).toBe(0);
  });

  it("refuses a call that turns out to be too large", async () => {
    let chunks = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        chunks++;
        controller.enqueue(new Uint8Array(1024 * 1024).fill(0x20));
      },
    });
    const headers = { Authorization: `Bearer ${address.token}` };
    const init = { method: "POST", headers, body, duplex: "half" } as RequestInit;
    expect((await serve(new Request("http://127.0.0.1/rpc", init))).status).toBe(413);
    expect(chunks).toBeLessThan(10);
  });

  it("takes the largest publish that the service accepts", async () => {
    // The worst data: each of its characters is escaped once more.
    const data = `"${"\\\\".repeat(512 * 1024 - 40)}"`;
    expect(await board().echo({ data })).toEqual(["news", { data }]);
  });
});
