/** An event whose frame is about 200 bytes long. */
export function eventOf(data: Record<string, unknown>): object {
  return {
    type: "state_transition",
    data: {
      ...data,
      agent_id: 17,
      project_id: 7,
      from_state: "idle",
      to_state: "processing",
      timestamp: "2026-01-29T10:00:00.000Z",
      note: "a state as agents report it",
    },
  };
}

/** The body of a batch publish. */
export function batchBody(events: number): string {
  return JSON.stringify(Array.from({ length: events }, (_, index) => eventOf({ index })));
}
