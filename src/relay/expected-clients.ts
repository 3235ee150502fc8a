/** How long clients that were sent to a relay may take to arrive there. */
const ARRIVAL_MS = 5_000;

/** Clients that were sent within this time are counted together. */
const TOGETHER_MS = 50;

/** Clients that were sent to a relay and have not arrived. Without them, a crowd would be sent to one relay. */
export class ExpectedClients {
  #groups: { clients: number; readonly sentAt: number }[] = [];

  /** How many are expected of those that were sent since a time. */
  since(time: number): number {
    return this.#groups.reduce((sum, { clients, sentAt }) => sum + (sentAt >= time ? clients : 0), 0);
  }

  add(clients: number, now: number): void {
    const last = this.#groups.at(-1);
    if (last !== undefined && now >= last.sentAt && now < last.sentAt + TOGETHER_MS) {
      last.clients += clients;
    } else {
      this.#groups.push({ clients, sentAt: now });
    }
  }

  /** Notes that some have arrived: probably those that were sent last. Earlier ones have found another place. */
  arrived(clients: number): void {
    let left = clients;
    for (const group of this.#groups.toReversed()) {
      const arrived = Math.min(left, group.clients);
      group.clients -= arrived;
      left -= arrived;
    }
    this.#groups = this.#groups.filter((group) => group.clients > 0);
  }

  /** Forgets those that do not come any more. */
  dropLate(now: number): void {
    this.#groups = this.#groups.filter(({ sentAt }) => sentAt <= now && now < sentAt + ARRIVAL_MS);
  }

  clear(): void {
    this.#groups = [];
  }
}
