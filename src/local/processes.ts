import type { OrdererNotice } from "../deno/settings.ts";
import { withPort } from "./address.ts";
import { startDeno } from "./deno-process.ts";
import { KeptProcess } from "./kept-process.ts";
import type { StartPlan } from "./local-host.ts";
import type { Runtime, RuntimeProcess } from "./runtime.ts";

/** The name of the secret with which the processes call each other. */
const RPC_TOKEN = "RPC_TOKEN";

/** The name of the secret with which the launcher shuts the service down. */
const SHUTDOWN_TOKEN = "SHUTDOWN_TOKEN";

/**
 * Starts the service as an orderer, which has the hubs and all files, and serving processes, which share the port. A
 * process that ends is started again, and the others go on.
 */
export function startProcesses(plan: StartPlan, program: string): Runtime {
  const running = new Processes(plan, program);
  return {
    get pids() {
      return running.pids;
    },
    get shutdownUrl() {
      return running.shutdownUrl;
    },
    listening: running.listening,
    descriptors: running.first.process.descriptors,
    // Each process is started again by itself.
    ended: new Promise(() => {}),
    stop: () => running.stop(),
  };
}

class Processes {
  readonly first: KeptProcess;
  readonly listening: Promise<number>;
  readonly #plan: StartPlan;
  readonly #program: string;
  readonly #orderer: KeptProcess;
  readonly #serving: KeptProcess[] = [];
  /** The processes that the data folder has to know of. */
  readonly #pids = new Map<string, number>();
  /** Where the orderer answers calls; null while it does not. */
  #ordererAt: OrdererNotice["orderer"] = null;
  #address: string;

  constructor(plan: StartPlan, program: string) {
    this.#plan = plan;
    this.#program = program;
    this.#address = plan.address;
    // Each process needs a listener for the end of the launcher.
    process.setMaxListeners(process.getMaxListeners() + plan.processes + 1);
    this.#orderer = this.#startOrderer();
    this.first = this.#startServing(1);
    this.listening = this.#startOthers();
  }

  get pids(): readonly number[] {
    return [...this.#pids.values()];
  }

  get shutdownUrl(): string {
    return `http://127.0.0.1:${this.#ordererAt?.port ?? 0}`;
  }

  /** The orderer ends last, so that the serving processes can finish what they answer. */
  async stop(): Promise<boolean> {
    const serving = await Promise.all(this.#serving.map((each) => each.stop()));
    return [...serving, await this.#orderer.stop()].includes(true);
  }

  /** The first serving process decides on the port. */
  async #startOthers(): Promise<number> {
    const orderer = this.#orderer.ready();
    // If both fail, one failure is enough.
    orderer.catch(() => {});
    const port = await this.first.ready();
    this.#address = withPort(this.#address, port);
    for (let number = 2; number <= this.#plan.processes; number++) {
      this.#startServing(number);
    }
    await Promise.all([orderer, ...this.#serving.slice(1).map((each) => each.ready())]);
    return port;
  }

  #startOrderer(): KeptProcess {
    const { SHUTDOWN_TOKEN: shutdownToken = "" } = this.#plan.secrets;
    let token = "";
    return new KeptProcess({
      name: "orderer",
      start: () => {
        token = crypto.randomUUID();
        const secrets = { [SHUTDOWN_TOKEN]: shutdownToken, [RPC_TOKEN]: token };
        return this.#start({ part: "orderer", number: 0, secrets });
      },
      started: (started) => this.#record("orderer", started),
      listens: (_, port) => this.#tellOrderer({ port, token }),
      ended: () => this.#tellOrderer(null),
    });
  }

  #startServing(number: number): KeptProcess {
    const name = `serving-${number}`;
    const { [SHUTDOWN_TOKEN]: _, ...secrets } = this.#plan.secrets;
    const kept = new KeptProcess({
      name,
      start: () =>
        this.#start({ part: "serving", number, secrets: { ...secrets, [RPC_TOKEN]: crypto.randomUUID() } }),
      started: (started) => {
        this.#record(name, started);
        tell(started, this.#ordererAt);
      },
      listens: () => {},
      ended: () => {},
    });
    this.#serving.push(kept);
    return kept;
  }

  #start(part: Omit<Parameters<typeof startDeno>[2], "address">): RuntimeProcess {
    return startDeno(this.#plan, this.#program, { ...part, address: this.#address });
  }

  #record(name: string, { pid }: RuntimeProcess): void {
    this.#pids.set(name, pid);
    this.#plan.folder.recordRuntimes(this.pids);
  }

  #tellOrderer(orderer: OrdererNotice["orderer"]): void {
    this.#ordererAt = orderer;
    for (const { process } of this.#serving) {
      tell(process, orderer);
    }
  }
}

function tell(serving: RuntimeProcess, orderer: OrdererNotice["orderer"]): void {
  serving.tell(JSON.stringify({ orderer } satisfies OrdererNotice));
}
