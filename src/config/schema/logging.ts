import { section, word } from "./parts.ts";

/** The log of the service: one JSON object a line. */
export const logging = section({
  /**
   * The least severe level that is logged: `debug`, `info` (clients that connect and leave), `warn` (refusals, dropped
   * clients) or `error` (failures). Default `info`.
   */
  level: word(["debug", "info", "warn", "error"]).default("info"),
});
