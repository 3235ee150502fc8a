import { hash } from "node:crypto";

import type { Random } from "./random.ts";

/** An event as a publisher of the suite sends it. Its data carries its name, so that no two are alike. */
export interface Sent {
  readonly type: string;
  readonly data: { readonly name: string; readonly text: string };
  readonly key: string;
  readonly project_id?: number;
  readonly agent_id?: string;
}

/** The filter of a client. */
export interface Wanted {
  readonly types?: readonly string[];
  readonly project_id?: readonly string[];
  readonly agent_id?: readonly string[];
}

const OFTEN = ["tick", "turn_started", "turn_ended", "state", "note"] as const;
const RARE = "rare";
export const TYPES = [...OFTEN, RARE] as const;
const PROJECTS = [1, 2, 3] as const;
const AGENTS = ["a", "b"] as const;
const TERMS = ["tick", "turn_*", "turn_ended", "state", "n*", "never"] as const;

export function inventEvent(name: string, random: Random, textLength: number): Sent {
  return {
    type: random.chance(0.003) ? RARE : random.pick(OFTEN),
    data: { name, text: random.chance(0.2) ? "ż\n😀".repeat(textLength >> 3) : "x".repeat(textLength) },
    key: name,
    ...(random.chance(0.7) && { project_id: random.pick(PROJECTS) }),
    ...(random.chance(0.5) && { agent_id: random.pick(AGENTS) }),
  };
}

/** Some want everything, and some hardly anything: those live on heartbeats that tell how far the log is. */
export function inventWish(random: Random): Wanted {
  if (random.chance(0.4)) {
    return random.chance(0.7) ? {} : { types: [RARE] };
  }
  const types = random.some(TERMS);
  return {
    ...(random.chance(0.5) && types.length > 0 && { types }),
    ...(random.chance(0.3) && { project_id: random.some(PROJECTS.map(String)).concat("1") }),
    ...(random.chance(0.2) && { agent_id: [random.pick(AGENTS)] }),
  };
}

export function toQuery(wanted: Wanted): Record<string, string> {
  return Object.fromEntries(Object.entries(wanted).map(([name, values]) => [name, values.join(",")]));
}

/** The contract of the filters, once more. */
export function isWanted(event: Sent, { types, project_id, agent_id }: Wanted): boolean {
  const hasType = types?.some((term) =>
    term.endsWith("*") ? event.type.startsWith(term.slice(0, -1)) : event.type === term,
  );
  return (hasType ?? true) && isOneOf(event.project_id, project_id) && isOneOf(event.agent_id, agent_id);
}

function isOneOf(id: string | number | undefined, ids: readonly string[] | undefined): boolean {
  return ids === undefined || (id !== undefined && ids.includes(String(id)));
}

/** Tells one text from another. */
export function fingerprintOf(text: string): string {
  return hash("sha1", text, "base64");
}

/** The acknowledged events, and every fault that was found. */
export interface Ledger {
  /** The last id that was acknowledged. */
  readonly head: number;
  readonly size: number;
  readonly violations: readonly string[];
  /** An event, without its text. */
  at(id: number): Sent | undefined;
  /** Of its data as they have to arrive. */
  fingerprintAt(id: number): string | undefined;
  /** The last event that matches a filter; 0 if there is none. */
  lastWanted(wanted: Wanted): number;
  acknowledge(id: number, event: Sent): void;
  accuse(violation: string): void;
}

export function createLedger(): Ledger {
  const events = new Map<number, Sent>();
  const fingerprints = new Map<number, string>();
  const names = new Map<string, number>();
  const violations: string[] = [];
  const accuse = (violation: string): void => {
    if (violations.length < 50) {
      violations.push(violation);
    }
  };
  let head = 0;
  return {
    get head() {
      return head;
    },
    get size() {
      return events.size;
    },
    violations,
    accuse,
    at: (id) => events.get(id),
    fingerprintAt: (id) => fingerprints.get(id),
    lastWanted: (wanted) => {
      for (let id = head; id > 0; id--) {
        const event = events.get(id);
        if (event !== undefined && isWanted(event, wanted)) {
          return id;
        }
      }
      return 0;
    },
    acknowledge: (id, event) => {
      const { name } = event.data;
      const other = events.get(id)?.data.name ?? name;
      if (other !== name) {
        accuse(`id ${id} was acknowledged for ${other}, and for ${name}`);
      }
      const before = names.get(name) ?? id;
      if (before !== id) {
        accuse(`${name} was acknowledged as ${before}, and as ${id}`);
      }
      events.set(id, { ...event, data: { name, text: "" } });
      fingerprints.set(id, fingerprintOf(JSON.stringify(event.data)));
      names.set(name, id);
      head = Math.max(head, id);
    },
  };
}
