const encoder = new TextEncoder();

/** The SHA-256 of a text: all digests have the same length, and the text cannot be recovered from them. */
export async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

/** The SHA-256 of a text in hexadecimal, to store instead of a secret. */
export async function hexDigest(text: string): Promise<string> {
  return Array.from(await digest(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
