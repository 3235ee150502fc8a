/** What is looked at of a request. */
interface IncomingRequest {
  readonly headers: Headers;
  readonly cf?: unknown;
}

/**
 * The IP address of the peer. On the edge a header says it, which nobody else can set there; on this machine the
 * runtime says it of the socket.
 */
export function peerOf(request: IncomingRequest, isLocal: boolean): string | null {
  return isLocal ? socketPeer(request.cf) : request.headers.get("CF-Connecting-IP");
}

function socketPeer(cf: unknown): string {
  const { clientIp } = (cf ?? {}) as { clientIp?: unknown };
  const socket = typeof clientIp === "string" ? clientIp : "";
  return socket.replace(/^\[(.+)\](?::\d+)?$|^([^:]+):\d+$/, "$1$2");
}
