import { HubError } from "../hub/errors.ts";

/**
 * Whether an error is SQLite's "database or disk is full". At the limit of an object's storage a statement throws it;
 * a full disk shows only at the commit, which resets the object: then the caller of the object gets it.
 */
export function isStorageFull(error: unknown): boolean {
  return /SQLITE_FULL|database or disk is full/.test(String(error));
}

export function storageFull(): HubError {
  return new HubError("storage_full", "The storage of this channel is full: nothing was stored.");
}
