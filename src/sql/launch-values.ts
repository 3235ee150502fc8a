import type { KeyValues } from "./sql.ts";

/**
 * Named values that the next start of the service forgets, because a drain or a shutdown must not outlive the process. On
 * the edge there are no starts: the launch id is empty, and the values stay.
 */
export class LaunchValues {
  readonly #values: KeyValues;
  readonly #launchId: string;

  constructor(values: KeyValues, launchId: string) {
    this.#values = values;
    this.#launchId = launchId;
  }

  /** Null if there is no such value, or if it is from an earlier start. */
  get<Value extends object>(key: string): Value | null {
    const stored = this.#values.get<Value & { readonly launchId?: string }>(key);
    return stored?.launchId === this.#launchId ? stored : null;
  }

  put(key: string, value: object): void {
    this.#values.put(key, { ...value, launchId: this.#launchId });
  }

  delete(key: string): void {
    this.#values.delete(key);
  }

  /** Whether this is the first call since the service was started. On the edge it never is. */
  begin(): boolean {
    const isFirst = this.#launchId !== "" && this.get("launch") === null;
    if (isFirst) {
      this.put("launch", {});
    }
    return isFirst;
  }
}
