import type { Logger } from "../hub/logger.ts";

/** What a process does, as `main.ts` runs it. */
export interface RunningPart {
  readonly logger: Logger;
  /** Opened in this order. */
  readonly doors: readonly Door[];
  /** How long responses may take to end, in ms, when the process is told to end. */
  readonly graceMs: number;
  /** Closes what has to be closed before the process ends. */
  close(): void;
}

/** An address that the process listens on, and what answers there. */
export interface Door {
  readonly hostname: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Whether other processes listen on the same port. */
  readonly isShared: boolean;
  /** Called when the process listens for the first time. */
  opened(port: number): void;
  /** @param peer the address of the peer */
  answer(request: Request, peer: string): Promise<Response>;
}

/** Reads a secret of the process; empty if there is none. */
export type SecretOf = (name: string) => string;

/** The launcher waits for this line. */
export function tellLauncher(port: number): void {
  console.error(JSON.stringify({ event: "listen", socket: "http", port }));
}
