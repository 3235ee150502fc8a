/** A body has more bytes than its reader accepts. */
export class BodyTooLargeError extends Error {}

/**
 * Reads a body as text.
 *
 * @throws BodyTooLargeError as soon as the body exceeds the limit
 */
export async function readBounded(
  { body, headers }: Pick<Request, "body" | "headers">,
  mostBytes: number,
): Promise<string> {
  if (Number(headers.get("Content-Length") ?? 0) > mostBytes) {
    await body?.cancel();
    throw tooLarge(mostBytes);
  }
  let left = mostBytes;
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body ?? []) {
    left -= chunk.byteLength;
    if (left < 0) {
      throw tooLarge(mostBytes);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function tooLarge(mostBytes: number): BodyTooLargeError {
  return new BodyTooLargeError(`the body has more than ${mostBytes} bytes`);
}
