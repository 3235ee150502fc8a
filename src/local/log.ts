/** Writes one line of JSON in the format of the Worker's log. */
export function log(level: "info" | "warn" | "error", event: string, fields: object = {}): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }));
}
