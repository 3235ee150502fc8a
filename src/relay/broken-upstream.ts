/** The upstream sent something that no hub sends. Nothing of it is delivered. */
export class BrokenUpstreamError extends Error {
  override readonly name = "BrokenUpstreamError";
}
