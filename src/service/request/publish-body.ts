import type { ProblemItem } from "../../wire/problem.ts";
import { Problem } from "../response/problem.ts";

/** The most bytes of a request body. */
const BODY_BYTES = 1024 * 1024;

/** The most events of a request. */
const BODY_EVENTS = 1_000;

/** How long a body may take. The attack is a body that is sent byte by byte and keeps its request open. */
const BODY_MS = 10_000;

/**
 * How many bytes one read of a body waits for. The attack is a body of 100,000 chunks of one byte: it would cost 100,000
 * reads, each with a buffer of 4 kB that lives as long as its byte.
 */
const CHUNK_BYTES = 64 * 1024;

/** A method that only the reader of workerd has. */
interface PatientReader {
  readAtLeast(least: number, view: Uint8Array): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}

/** An event as it was sent, before validation, and its place in the request. */
export interface Item {
  readonly position: Pick<ProblemItem, "index" | "line">;
  /** The parsed JSON; undefined if it is not valid JSON. */
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
    throw new Problem("invalid_body", "The body has no event. Send at least one.");
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
  const detail = "Send application/json or application/x-ndjson, in UTF-8 and without a Content-Encoding.";
  throw new Problem("unsupported_media_type", detail);
}

async function inTime(body: Promise<Uint8Array>): Promise<Uint8Array> {
  const detail = `The body did not arrive within ${BODY_MS / 1_000} seconds. Send fewer events in a request.`;
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
    // If there is a Content-Length, the runtime reads no further than that. Otherwise it would read without end.
    return length === null ? await readChunks(request.body) : new Uint8Array(await request.arrayBuffer());
  } catch (error) {
    throw error instanceof Problem
      ? error
      : new Problem("invalid_body", "The body ended before it was complete.");
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
 * The bytes of a body: in chunks of `CHUNK_BYTES` on workerd, and in the sender's chunks on other runtimes. The standard way,
 * `read(view, { min })`, fails if a body ends before the minimum is reached.
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
    // A refused sender may go on sending. The answer does not wait until it stops.
    void reader.cancel().catch(() => undefined);
  }
}

function tooLarge(): Problem {
  return new Problem(
    "body_too_large",
    `A body may have at most ${BODY_BYTES} bytes. Send fewer events in a request.`,
  );
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(body);
  } catch {
    throw new Problem("invalid_body", "The body is not valid UTF-8. Encode it as UTF-8.");
  }
}

function parseJson(text: string): readonly Item[] {
  const value = parse(text);
  if (value === undefined) {
    throw new Problem("invalid_body", "The body is not valid JSON. Send an event, or an array of events.");
  }
  const values: readonly unknown[] = Array.isArray(value) ? value : [value];
  requireFew(values.length);
  return values.map((item, index) => ({ position: { index }, value: item }));
}

/** Allocates nothing for a blank line, and stops at the first event too many: a body can have a million lines. */
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
    throw new Problem(
      "too_many_events",
      `A request may have at most ${BODY_EVENTS} events. Send the others in further requests.`,
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
