/** Parses JSON. Text that is not JSON is returned as it is. */
export function parseData(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

export function isObject(data: unknown): data is Readonly<Record<string, unknown>> {
  return typeof data === "object" && data !== null;
}

/** A member of an object. Undefined if the value has no such member or is no object. */
export function memberOf(data: unknown, name: string): unknown {
  return isObject(data) ? data[name] : undefined;
}
