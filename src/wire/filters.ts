/** The answer of `GET /api/filters`. */
export interface FiltersAnswer {
  /** The names of the fields that events can be selected by. */
  readonly fields: readonly string[];
}
