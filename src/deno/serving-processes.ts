import type { RpcAddress } from "./rpc/call.ts";
import { Caller, RpcFailure, type CallerPlace, type Calls } from "./rpc/caller.ts";
import type { ProcessesPort } from "./rpc/ports.ts";

/** The serving processes, as the orderer reaches them. */
export class ServingProcesses implements ProcessesPort {
  readonly #place: CallerPlace;
  readonly #registered: (number: number) => void;
  readonly #callers = new Map<number, Calls>();

  /** @param registered called when a process can be reached: its earlier life has ended */
  constructor(place: CallerPlace, registered: (number: number) => void) {
    this.#place = place;
    this.#registered = registered;
  }

  async register(number: number, address: RpcAddress): Promise<void> {
    this.#callers.set(number, new Caller(address, this.#place));
    this.#registered(number);
  }

  /**
   * The last life of a process that has registered. It may have ended since.
   *
   * @throws RpcFailure if none has
   */
  of(number: number): Calls {
    const caller = this.#callers.get(number);
    if (caller === undefined) {
      throw new RpcFailure(`the serving process ${number} has not registered`);
    }
    return caller;
  }
}
