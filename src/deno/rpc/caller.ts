import type { Clock } from "../../hub/clock.ts";
import { HubError } from "../../hub/errors.ts";
import { unwrap, type Answer } from "../../service/answer.ts";
import { readBounded } from "./bounded-body.ts";
import { ANSWER_BYTES, LOOPBACK, RPC_PATH, type Call, type RpcAddress } from "./call.ts";

/** How long a process may take to answer a call, or to begin a stream. */
const ANSWER_MS = 10_000;

/** A call that got no answer: the other process has died, hangs, or has a bug. Its log says more. */
export class RpcFailure extends Error {}

/** Calls methods in other processes. */
export interface Calls {
  /**
   * Calls a method that returns a value.
   *
   * @throws HubError if the method refuses, and RpcFailure if there is no answer
   */
  call(call: Call): Promise<unknown>;
  /**
   * Calls a method that returns a stream.
   *
   * @param signal ends the stream
   * @throws HubError if the method refuses, and RpcFailure if there is no answer
   */
  open(call: Call, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>>;
}

/** What a caller needs from the place where it runs. */
export interface CallerPlace {
  readonly clock: Clock;
  readonly fetch: (request: Request) => Promise<Response>;
}

/** Calls the methods of one life of another process. */
export class Caller implements Calls {
  readonly #address: RpcAddress;
  readonly #place: CallerPlace;

  constructor(address: RpcAddress, place: CallerPlace) {
    this.#address = address;
    this.#place = place;
  }

  call(call: Call): Promise<unknown> {
    return this.#inTime(call, new AbortController(), (response) => valueOf(response));
  }

  open(call: Call, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const controller = new AbortController();
    const end = (): void => controller.abort(signal?.reason);
    signal?.addEventListener("abort", end, { once: true });
    if (signal?.aborted === true) {
      end();
    }
    return this.#inTime(call, controller, streamOf);
  }

  /** @param controller ends the request if the answer does not come in time */
  async #inTime<Value>(
    call: Call,
    controller: AbortController,
    read: (response: Response) => Promise<Value>,
  ): Promise<Value> {
    const late = (): void => controller.abort(new Error(`there was no answer within ${ANSWER_MS} ms`));
    const cancel = this.#place.clock.after(ANSWER_MS, late);
    try {
      return await read(await this.#place.fetch(this.#request(call, controller.signal)));
    } catch (error) {
      throw error instanceof HubError ? error : failure(call, error);
    } finally {
      cancel();
    }
  }

  #request(call: Call, signal: AbortSignal): Request {
    const { port, token } = this.#address;
    return new Request(`http://${LOOPBACK}:${port}${RPC_PATH}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify(call),
      // Another program could listen on the port of a process that has died, and send the token elsewhere.
      redirect: "error",
      signal,
    });
  }
}

async function valueOf(response: Response): Promise<unknown> {
  await requireOk(response);
  return unwrap(JSON.parse(await readBounded(response, ANSWER_BYTES)) as Answer<unknown>);
}

async function streamOf(response: Response): Promise<ReadableStream<Uint8Array>> {
  await requireOk(response);
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream") === true;
  if (isStream && response.body !== null) {
    return response.body;
  }
  await valueOf(response);
  throw new Error("the answer is not a stream");
}

async function requireOk({ ok, status, body }: Response): Promise<void> {
  if (!ok) {
    await body?.cancel();
    throw new Error(`the answer has the status ${status}`);
  }
}

function failure({ port, method }: Call, cause: unknown): RpcFailure {
  return new RpcFailure(`the call ${port}.${method} has failed: ${String(cause)}`, { cause });
}
