import { HubError } from "../hub/errors.ts";

/**
 * Whether an error is SQLite's "database or disk is full". At the limit of an object's storage, a statement throws it. A
 * full disk shows only at the commit, which resets the object, so that the caller of the object gets the error.
 */
export function isStorageFull(error: unknown): boolean {
  return /SQLITE_FULL|database or disk is full/.test(String(error));
}

export function storageFull(): HubError {
  return new HubError("storage_full", "Nothing was stored, because the storage of this channel is full.");
}
