/** One line of JSON, like those of the Worker. */
export function log(level: "info" | "warn" | "error", event: string, fields: object = {}): void {
  console.log(JSON.stringify({ time: new Date().toISOString(), level, event, ...fields }));
}
