import { bearerToken } from "../../auth/bearer.ts";
import { matchToken } from "../../auth/static-token.ts";
import type { HubError } from "../../hub/errors.ts";
import type { Logger } from "../../hub/logger.ts";
import { answer } from "../../service/answer.ts";
import { BodyTooLargeError, readBounded } from "./bounded-body.ts";
import { CALL_BYTES, RPC_PATH, type Call } from "./call.ts";

/** The ports that a process offers to the other processes, by their names. A port of a channel gets its name. */
export type OfferedPorts = Readonly<Record<string, (channel: string) => object>>;

/** What a server of calls needs. */
export interface RpcServerOptions {
  readonly token: string;
  readonly ports: OfferedPorts;
  readonly logger: Logger;
  /** Maps a failure to a refusal, which the caller gets; null if the failure is a bug, which is logged. */
  refusalOf(failure: unknown): HubError | null;
}

type Method = (...args: readonly unknown[]) => unknown;

/**
 * Answers the calls of the other processes. Every program of this machine can connect to a loopback port, and so can the
 * pages of its browsers. So a request without the token is refused before its body is read.
 *
 * The answer is an `Answer` as JSON. A method that resolves to a `Response` is answered by that response, which can stream.
 */
export function createRpcServer(options: RpcServerOptions): (request: Request) => Promise<Response> {
  return async (request) => {
    const token = bearerToken(request.headers.get("Authorization"));
    if (token === null || (await matchToken(token, options.token)) === null) {
      return refused(request, 401);
    }
    if (request.method !== "POST" || new URL(request.url).pathname !== RPC_PATH) {
      return refused(request, 404);
    }
    try {
      return await answerCall(await readCall(request), options);
    } catch (error) {
      options.logger("error", "call_not_answered", { error: String(error) });
      return new Response(null, { status: error instanceof BodyTooLargeError ? 413 : 400 });
    }
  };
}

async function answerCall(call: Call, { ports, logger, refusalOf }: RpcServerOptions): Promise<Response> {
  const method = methodOf(call, ports);
  try {
    const answered = await answer(async () => {
      try {
        return await method(...call.args);
      } catch (error) {
        throw refusalOf(error) ?? error;
      }
    });
    const isResponse = "value" in answered && answered.value instanceof Response;
    return isResponse ? (answered.value as Response) : Response.json(answered);
  } catch (error) {
    const { port, method: name } = call;
    logger("error", "call_failed", { port, method: name, error: stackOf(error) });
    return new Response(null, { status: 500 });
  }
}

/** @throws BodyTooLargeError, or SyntaxError if the body is not JSON */
async function readCall(request: Request): Promise<Call> {
  return JSON.parse(await readBounded(request, CALL_BYTES)) as Call;
}

/** Only own properties count, so that no call reaches what every object inherits. */
function methodOf({ port, of, method, args }: Call, ports: OfferedPorts): Method {
  const offered = ownValue(ports, port);
  const found = typeof offered === "function" ? ownValue(offered(of) as object, method) : undefined;
  if (typeof found !== "function" || !Array.isArray(args)) {
    throw new Error(`there is no method ${String(method)} of a port ${String(port)}`);
  }
  return found as Method;
}

function ownValue(object: object, name: string): unknown {
  return Object.hasOwn(object, name) ? (object as Record<string, unknown>)[name] : undefined;
}

async function refused(request: Request, status: number): Promise<Response> {
  await request.body?.cancel();
  return new Response(null, { status });
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
