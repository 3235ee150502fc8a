import { createInterface } from "node:readline";

import type { RpcAddress } from "./rpc/call.ts";
import type { OrdererNotice } from "./settings.ts";

/** Reads what the launcher writes: a line of JSON whenever an orderer has started or ended. */
export async function followLauncher(
  input: NodeJS.ReadableStream,
  moved: (orderer: RpcAddress | null) => void,
): Promise<void> {
  for await (const line of createInterface({ input })) {
    moved((JSON.parse(line) as OrdererNotice).orderer);
  }
}
