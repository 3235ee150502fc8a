/** How important a log line is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** The fields of a log line. They never contain a token. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes one log line. */
export type Logger = (level: LogLevel, event: string, fields?: LogFields) => void;
