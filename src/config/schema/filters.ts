import { z } from "zod";

import { RESERVED_NAMES } from "../reserved-names.ts";
import { reportRepeated, section } from "./parts.ts";

/** The fields of events that streams can be filtered by. */
export const filters = section({
  /**
   * The fields that streams, the history and grants can select events by. Each is a query parameter, and a member of an
   * event beside `type`. Stored events keep the fields that they were published with: a field that is added here is found
   * in new events only. At most 8. Default `[project_id, agent_id]`.
   */
  fields: z
    .array(
      z
        .string({ error: "the name of a field" })
        .regex(/^[a-z][a-z0-9_]{0,31}$/, { error: "a field name ([a-z][a-z0-9_]{0,31})" })
        .refine((name) => !RESERVED_NAMES.has(name), {
          error: "a field name that no parameter and no member of an event has",
        }),
      { error: "a list of field names" },
    )
    .max(8, { error: "at most 8 field names" })
    .superRefine(reportRepeated("a field that is not in the list yet"))
    .default(["project_id", "agent_id"]),

  /**
   * Query parameters of the stream and the history that are ignored, because a library adds them to its requests. Any other
   * unknown parameter is refused with 400, so that a misspelt filter does not go unnoticed. At most 20. Default
   * `[datastar]`.
   */
  ignored_parameters: z
    .array(
      z
        .string({ error: "the name of a parameter" })
        .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, {
          error: "the name of a parameter ([A-Za-z_][A-Za-z0-9_.-]{0,63})",
        })
        .refine((name) => !RESERVED_NAMES.has(name), { error: "a parameter that the service does not know" }),
      { error: "a list of parameter names" },
    )
    .max(20, { error: "at most 20 parameter names" })
    .superRefine(reportRepeated("a parameter that is not in the list yet"))
    .default(["datastar"]),
}).superRefine(({ fields, ignored_parameters }, context) => {
  for (const [index, name] of ignored_parameters.entries()) {
    if (fields.includes(name)) {
      const path = ["ignored_parameters", index];
      context.addIssue({ code: "custom", path, message: "a parameter that is not one of the fields" });
    }
  }
});
