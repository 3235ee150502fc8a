import type { ProblemItem } from "../../wire/problem.ts";
import { Problem } from "../response/problem.ts";

/** Bytes of one request body. */
const BODY_BYTES = 1024 * 1024;

/** Events of one request. */
const BODY_EVENTS = 1_000;

/** How long a body may take. Who sends it byte by byte must not hold a request for as long as they like. */
const BODY_MS = 10_000;

/**
 * Bytes that one read of a body waits for. Without this a body of 100,000 one-byte chunks costs 100,000 reads, each with a
 * buffer of 4 kB that lives as long as its byte.
 */
const CHUNK_BYTES = 64 * 1024;

/** What the reader of workerd has beside the methods of the standard. */
interface PatientReader {
  readAtLeast(least: number, view: Uint8Array): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

/** One event as it was sent, not yet looked at, and where it stood. */
export interface Item {
  readonly position: Pick<ProblemItem, "index" | "line">;
  /** The parsed JSON; undefined when the line is none. */
  readonly value: unknown;
}

/**
 * Reads the events of a publish.
 *
 * @throws Problem `unsupported_media_type`, `body_too_large`, `body_timeout`, `too_many_events` or `invalid_body`
 */
export async function readItems(request: Request): Promise<readonly Item[]> {
  const parseItems = parserFor(request);
  const items = parseItems(decode(await inTime(readBody(request))));
  if (items.length === 0) {
    throw new Problem("invalid_body", "The body holds no event.");
  }
  return items;
}

function parserFor(request: Request): (text: string) => readonly Item[] {
  const [essence = "", ...parameters] = (request.headers.get("Content-Type") ?? "")
    .toLowerCase()
    .split(";")
    .map((part) => part.trim());
  const isUtf8 = parameters.every(
    (parameter) => !parameter.startsWith("charset=") || /^charset="?utf-8"?$/.test(parameter),
  );
  const isPlain = /^(?:identity)?$/i.test(request.headers.get("Content-Encoding") ?? "");
  if (isUtf8 && isPlain && essence === "application/json") {
    return parseJson;
  }
  if (isUtf8 && isPlain && essence === "application/x-ndjson") {
    return parseLines;
  }
  const detail =
    "Expected application/json or application/x-ndjson, in UTF-8 and without a Content-Encoding.";
  throw new Problem("unsupported_media_type", detail);
}

async function inTime(body: Promise<Uint8Array>): Promise<Uint8Array> {
  const detail = `The body did not come within ${BODY_MS / 1_000} seconds.`;
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Problem("body_timeout", detail)), BODY_MS);
  try {
    return await Promise.race([body, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function readBody(request: Request): Promise<Uint8Array> {
  const length = request.headers.get("Content-Length");
  if (length !== null && Number(length) > BODY_BYTES) {
    throw tooLarge();
  }
  try {
    // With a length the runtime itself reads no further; without one it would read without end.
    return length === null ? await readChunks(request.body) : new Uint8Array(await request.arrayBuffer());
  } catch (error) {
    throw error instanceof Problem ? error : new Problem("invalid_body", "The body was cut short.");
  }
}

async function readChunks(body: ReadableStream<Uint8Array> | null): Promise<Uint8Array> {
  // Chunks are copied, not collected: a million chunks of one byte are a million buffers.
  let bytes = new Uint8Array(CHUNK_BYTES);
  let size = 0;
  for await (const chunk of body === null ? [] : largeChunks(body)) {
    const end = size + chunk.byteLength;
    if (end > BODY_BYTES) {
      throw tooLarge();
    }
    if (end > bytes.byteLength) {
      const larger = new Uint8Array(Math.min(BODY_BYTES, 2 * end));
      larger.set(bytes.subarray(0, size));
      bytes = larger;
    }
    bytes.set(chunk, size);
    size = end;
  }
  return bytes.subarray(0, size);
}

/**
 * The bytes of a body in chunks of `CHUNK_BYTES` on workerd, and in the chunks of the sender on other runtimes. The standard
 * has `read(view, { min })` for this, which fails if a body ends before the minimum is reached.
 */
async function* largeChunks(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (!("readAtLeast" in ReadableStreamBYOBReader.prototype)) {
    yield* body;
    return;
  }
  const reader = body.getReader({ mode: "byob" }) as ReadableStreamBYOBReader & PatientReader;
  try {
    for (;;) {
      const { done, value } = await reader.readAtLeast(CHUNK_BYTES, new Uint8Array(CHUNK_BYTES));
      if (done || value === undefined) {
        return;
      }
      yield value;
    }
  } finally {
    // A sender that is refused may go on sending. Nobody waits for it to stop.
    void reader.cancel().catch(() => undefined);
  }
}

function tooLarge(): Problem {
  return new Problem("body_too_large", `A body has ${BODY_BYTES} bytes at most.`);
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body);
  } catch {
    throw new Problem("invalid_body", "The body is not valid UTF-8.");
  }
}

function parseJson(text: string): readonly Item[] {
  const value = parse(text);
  if (value === undefined) {
    throw new Problem("invalid_body", "The body is not valid JSON.");
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  requireFew(values.length);
  return values.map((item, index) => ({ position: { index }, value: item }));
}

/** One pass that makes nothing of blank lines and ends at the first event too many: a body may be a million lines. */
function parseLines(text: string): readonly Item[] {
  const items: Item[] = [];
  for (let line = 1, start = 0; start < text.length; line++) {
    const lineEnd = text.indexOf("\n", start);
    const end = lineEnd === -1 ? text.length : lineEnd;
    const content = end === start ? "" : text.slice(start, end).trim();
    if (content !== "") {
      requireFew(items.length + 1);
      items.push({ position: { line }, value: parse(content) });
    }
    start = end + 1;
  }
  return items;
}

function requireFew(events: number): void {
  if (events > BODY_EVENTS) {
    throw new Problem("too_many_events", `A request carries ${BODY_EVENTS} events at most.`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
