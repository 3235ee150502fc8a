/** A call of a method in another process of the service, as it crosses over HTTP. */
export interface Call {
  /** The name of the port, such as `hub`. */
  readonly port: string;
  /** The channel that the port belongs to. Empty if the port belongs to the whole service. */
  readonly of: string;
  readonly method: string;
  readonly args: readonly unknown[];
}

/** Where a process answers calls. */
export interface RpcAddress {
  /** A port of the loopback interface. */
  readonly port: number;
  /** Differs for each life of the process, so that a token that leaks to a later user of the port opens nothing. */
  readonly token: string;
}

/** The only address that listens for calls. */
export const LOOPBACK = "127.0.0.1";

/** The path of all calls. */
export const RPC_PATH = "/rpc";

/** The most bytes of a call. A publish of 1 MiB takes up to twice that, because its data is escaped once more. */
export const CALL_BYTES = 4 * 1024 * 1024;

/** The most bytes of an answer. The largest ones list 1,000 clients with long filters. */
export const ANSWER_BYTES = 32 * 1024 * 1024;
