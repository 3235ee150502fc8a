/** How much an operator wants to read. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** Facts that go with a log line. Never a token. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where the log lines go: one JSON line each. */
export type Logger = (level: LogLevel, event: string, fields?: LogFields) => void;
