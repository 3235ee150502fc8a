/** How many streams each address holds. Clients with the address null are not counted. */
export class Addresses {
  readonly #streams = new Map<string, number>();

  streamsOf(address: string | null): number {
    return address === null ? 0 : (this.#streams.get(address) ?? 0);
  }

  came(address: string | null): void {
    if (address !== null) {
      this.#streams.set(address, this.streamsOf(address) + 1);
    }
  }

  left(address: string | null): void {
    const left = this.streamsOf(address) - 1;
    if (address !== null && left > 0) {
      this.#streams.set(address, left);
    } else if (address !== null) {
      this.#streams.delete(address);
    }
  }
}
