export interface Head {
  readonly status: number;
  readonly statusText: string;
  /** Names in lower case; a repeated one is joined by a comma. */
  readonly headers: Readonly<Record<string, string>>;
}

/** The status line and the headers, once they are there in full, and the bytes that follow them. */
export function parseHead(bytes: Buffer): { head: Head; rest: Buffer } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end === -1) {
    return undefined;
  }
  const [statusLine = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const match = /^HTTP\/1\.1 (\d{3}) ?(.*)$/.exec(statusLine);
  if (match === null) {
    throw new Error(`Not an HTTP/1.1 status line: ${JSON.stringify(statusLine)}`);
  }
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  const head = { status: Number(match[1]), statusText: match[2] ?? "", headers };
  return { head, rest: bytes.subarray(end + 4) };
}

/** Takes the bytes after the head, gives those of the body, and says when the body is whole. */
export function bodyDecoder(
  { status, headers }: Head,
  method: string,
  onBody: (bytes: Uint8Array) => void,
  onEnd: () => void,
): (bytes: Buffer) => void {
  if (method === "HEAD" || status === 204 || status === 304) {
    onEnd();
    return () => undefined;
  }
  if (headers["transfer-encoding"] === "chunked") {
    return chunkedDecoder(onBody, onEnd);
  }
  const length = Number(headers["content-length"] ?? Number.POSITIVE_INFINITY);
  let taken = 0;
  if (length === 0) {
    onEnd();
  }
  return (bytes) => {
    taken += bytes.length;
    if (bytes.length > 0) {
      onBody(bytes);
    }
    if (taken >= length && bytes.length > 0) {
      onEnd();
    }
  };
}

function chunkedDecoder(onBody: (bytes: Uint8Array) => void, onEnd: () => void): (bytes: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0);
  /** Bytes of the chunk still to come, with the line end after it; undefined: a size line is next. */
  let remaining: number | undefined;
  return (bytes) => {
    pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
    for (;;) {
      if (remaining === undefined) {
        const lineEnd = pending.indexOf("\r\n");
        if (lineEnd === -1) {
          return;
        }
        const size = Number.parseInt(pending.toString("latin1", 0, lineEnd), 16);
        pending = pending.subarray(lineEnd + 2);
        if (size === 0) {
          onEnd();
          return;
        }
        remaining = size + 2;
      }
      if (pending.length === 0) {
        return;
      }
      // The last two bytes are CRLF, not content; they may come one by one.
      const content = pending.subarray(0, Math.max(0, Math.min(pending.length, remaining - 2)));
      if (content.length > 0) {
        onBody(content);
        remaining -= content.length;
        pending = pending.subarray(content.length);
        continue;
      }
      const lineEnd = Math.min(pending.length, remaining);
      remaining -= lineEnd;
      pending = pending.subarray(lineEnd);
      if (remaining > 0) {
        return;
      }
      remaining = undefined;
    }
  };
}
