/** The parts of Deno used here that are neither web standards nor part of Node. */
declare namespace Deno {
  interface Peer {
    readonly remoteAddr: { readonly hostname: string };
  }

  interface ServeOptions {
    readonly hostname: string;
    readonly port: number;
    /** Whether other processes of the same user may listen on the port too. The kernel spreads the connections. */
    readonly reusePort: boolean;
    onListen(address: { readonly port: number }): void;
    onError(error: unknown): Response;
  }

  function serve(
    options: ServeOptions,
    handler: (request: Request, peer: Peer) => Response | Promise<Response>,
  ): {
    readonly addr: { readonly port: number };
    /** Rejects when it can no longer accept connections. */
    readonly finished: Promise<void>;
    /** Accepts no more connections, and waits for the running requests. */
    shutdown(): Promise<void>;
  };
}
