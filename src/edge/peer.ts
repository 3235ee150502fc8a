/** The parts of a request that name its peer. */
interface IncomingRequest {
  readonly headers: Headers;
  readonly cf?: unknown;
}

/**
 * The IP address of the peer. On the edge the platform sets a header, which a client cannot set. With `npm start` the runtime
 * gives the address of the socket.
 */
export function peerOf(request: IncomingRequest, isLocal: boolean): string | null {
  return isLocal ? socketPeer(request.cf) : request.headers.get("CF-Connecting-IP");
}

function socketPeer(cf: unknown): string {
  const { clientIp } = (cf ?? {}) as { clientIp?: unknown };
  const socket = typeof clientIp === "string" ? clientIp : "";
  return socket.replace(/^\[(.+)\](?::\d+)?$|^([^:]+):\d+$/, "$1$2");
}
