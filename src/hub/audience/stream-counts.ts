/** How many streams each address holds. Clients with the address null are not counted. */
export class StreamCounts {
  readonly #streams = new Map<string, number>();

  of(address: string | null): number {
    return address === null ? 0 : (this.#streams.get(address) ?? 0);
  }

  add(address: string | null): void {
    if (address !== null) {
      this.#streams.set(address, this.of(address) + 1);
    }
  }

  remove(address: string | null): void {
    const left = this.of(address) - 1;
    if (address !== null && left > 0) {
      this.#streams.set(address, left);
    } else if (address !== null) {
      this.#streams.delete(address);
    }
  }
}
