import type { Clock } from "../hub/clock.ts";
import type { Call, RpcAddress } from "./rpc/call.ts";
import { Caller, RpcFailure, type CallerPlace, type Calls } from "./rpc/caller.ts";

/** How long a call waits for the orderer while it is started, or started again. */
const WAIT_MS = 3_000;

/**
 * The orderer, as a serving process reaches it. The launcher tells where the orderer is, that it has ended, and where the
 * next one is. Meanwhile calls wait, because a restart is shorter than what a publisher would wait before it tries again.
 */
export class OrdererLink implements Calls {
  readonly #place: CallerPlace;
  #caller = Promise.withResolvers<Caller>();
  #isKnown = false;

  constructor(place: CallerPlace) {
    this.#place = place;
  }

  /** @param address null if the orderer has ended */
  moved(address: RpcAddress | null): void {
    if (this.#isKnown) {
      this.#caller = Promise.withResolvers<Caller>();
    }
    this.#isKnown = address !== null;
    if (address !== null) {
      this.#caller.resolve(new Caller(address, this.#place));
    }
  }

  async call(call: Call): Promise<unknown> {
    return (await this.#reached()).call(call);
  }

  async open(call: Call, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    return (await this.#reached()).open(call, signal);
  }

  async #reached(): Promise<Caller> {
    return inTime(this.#place.clock, this.#caller.promise);
  }
}

/** @throws RpcFailure if the orderer is not known in time */
async function inTime(clock: Clock, caller: Promise<Caller>): Promise<Caller> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(WAIT_MS, () => reject(new RpcFailure("the orderer is not running")));
  try {
    return await Promise.race([caller, late]);
  } finally {
    cancel();
  }
}
