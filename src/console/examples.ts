const now = (): string => new Date().toISOString();

/** Example data for the types that a board of coding agents publishes. */
const EXAMPLES: Readonly<Record<string, () => object>> = {
  state_transition: () => ({
    agent_id: 1,
    project_id: 7,
    from_state: "idle",
    to_state: "processing",
    timestamp: now(),
  }),
  turn_detected: () => ({ agent_id: 1, project_id: 7, turn: 12, text: "Tests pass.", timestamp: now() }),
  session_discovered: () => ({ agent_id: 2, project_id: 7, session: "3f9c", timestamp: now() }),
  session_ended: () => ({ agent_id: 2, project_id: 7, session: "3f9c", exit_code: 0, timestamp: now() }),
  objective_changed: () => ({ project_id: 7, objective: "Ship the console", timestamp: now() }),
};

export const exampleTypes: readonly string[] = Object.keys(EXAMPLES);

/** Example data as JSON. Undefined for an unknown type. */
export function exampleOf(type: string): string | undefined {
  const example = Object.hasOwn(EXAMPLES, type) ? EXAMPLES[type] : undefined;
  return example && JSON.stringify(example(), null, 2);
}
