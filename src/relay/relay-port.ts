import type { Counters } from "../hub/counters.ts";
import type { ClientPage, ClientView, Ended } from "../hub/views.ts";
import type { Recalled } from "./seat-lease.ts";

/** A relay as its hub reaches it. */
export interface RelayPort {
  report(): Promise<RelayReport>;
  clients(page: ClientPage): Promise<ClientView[]>;
  /** Resolves to false if the relay has no such client. */
  kick(clientId: string): Promise<boolean>;
  /** Finds the clients that have left without the runtime noticing. */
  findDead(): Promise<void>;
  /** Ends all streams. New ones are refused, because the hub refuses the feed of the relay. */
  end(reason: "drain" | "shutdown"): Promise<Ended>;
  /** Waits until the peers have taken the end of their streams, but not for long. Resolves to how many have not. */
  settled(): Promise<number>;
  /** Takes back the seats that are not used. */
  recall(version: number): Promise<Recalled>;
}

/** The state of a relay. */
export interface RelayReport {
  /** A random name of this life of the relay. */
  readonly life: string;
  readonly counters: Counters;
  readonly activeConnections: number;
  readonly lingeringConnections: number;
  /** The last event that the relay can deliver. */
  readonly lastEventId: number;
  /** For how long the relay has had no stream from its hub, in ms; 0 while it has one. */
  readonly lostForMs: number;
}

/** The name of a relay within its channel. */
export interface RelayName {
  readonly region: string;
  /** From 1. */
  readonly number: number;
}

export function formatRelay({ region, number }: RelayName): string {
  return `${region}/${number}`;
}

export function parseRelay(text: string): RelayName {
  const [region = "", number = ""] = text.split("/");
  return { region, number: Number(number) };
}
