import type { Clock } from "../hub/clock.ts";
import type { Logger } from "../hub/logger.ts";
import type { RpcAddress } from "./rpc/call.ts";

/** How long to wait after a failure before registering again. */
const AGAIN_MS = 500;

/** Registers a serving process with each orderer that the launcher tells of, and tries until that has succeeded. */
export class Registration {
  readonly #register: () => Promise<void>;
  readonly #clock: Pick<Clock, "after">;
  readonly #logger: Logger;
  #cancel: () => void = () => {};
  /** Counts the orderers. */
  #orderer = 0;

  constructor(register: () => Promise<void>, clock: Pick<Clock, "after">, logger: Logger) {
    this.#register = register;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** @param address of the orderer; null if it has ended */
  moved(address: RpcAddress | null): void {
    this.#cancel();
    this.#orderer++;
    if (address !== null) {
      void this.#try(this.#orderer);
    }
  }

  async #try(orderer: number): Promise<void> {
    try {
      await this.#register();
    } catch (error) {
      if (orderer === this.#orderer) {
        this.#logger("warn", "not_registered", { error: String(error) });
        this.#cancel = this.#clock.after(AGAIN_MS, () => void this.#try(orderer));
      }
    }
  }
}
