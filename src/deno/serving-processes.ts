import type { RpcAddress } from "./rpc/call.ts";
import { Caller, type CallerPlace, type Calls } from "./rpc/caller.ts";
import type { ProcessesPort } from "./rpc/ports.ts";

/** The serving processes, as the orderer reaches them. */
export class ServingProcesses implements ProcessesPort {
  readonly #place: CallerPlace;
  readonly #callers = new Map<number, Calls>();

  constructor(place: CallerPlace) {
    this.#place = place;
  }

  async register(number: number, address: RpcAddress): Promise<void> {
    this.#callers.set(number, new Caller(address, this.#place));
  }

  /** The last life of a process that has registered; undefined if there was none. It may have ended since. */
  of(number: number): Calls | undefined {
    return this.#callers.get(number);
  }
}
