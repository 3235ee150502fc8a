const encoder = new TextEncoder();

/** The SHA-256 of a text: of equal length for all, and of no use to whoever reads it. */
export async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

/** The same, as a text: to keep in place of a secret. */
export async function hexDigest(text: string): Promise<string> {
  return Array.from(await digest(text), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
