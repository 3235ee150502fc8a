/** A server that accepts and streams events: the service, or a peer to compare it with. */
export interface Host {
  readonly name: string;
  readonly port: number;
  /** The process whose memory and CPU are measured. */
  readonly pid: number;
  readonly token: string;
  readonly eventsPath: (channel: string) => string;
  readonly publishPath: (channel: string) => string;
  readonly stop: () => Promise<void>;
}
