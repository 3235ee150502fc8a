/** Something that streams and takes events: the service, or a peer to compare it with. */
export interface Host {
  readonly name: string;
  readonly port: number;
  /** The process whose memory and CPU count. */
  readonly pid: number;
  readonly token: string;
  readonly eventsPath: (channel: string) => string;
  readonly publishPath: (channel: string) => string;
  readonly stop: () => Promise<void>;
}
