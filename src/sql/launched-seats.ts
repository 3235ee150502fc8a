import type { KeptSeats, SeatStore } from "../relay/seat-store.ts";
import type { LaunchValues } from "./launch-values.ts";
import type { SeatTable } from "./seat-table.ts";

/** Its presence says that the leases were stored after the last start. */
const MARK = "seats";

/**
 * The leased seats since the last start of the service. A start ends all relays that ran before, so their leases must not
 * take seats from the clients that come back. On the edge there are no starts, and all leases count.
 */
export class LaunchedSeats implements SeatStore {
  readonly #table: SeatTable;
  readonly #launch: LaunchValues;

  constructor(table: SeatTable, launch: LaunchValues) {
    this.#table = table;
    this.#launch = launch;
  }

  all(): readonly KeptSeats[] {
    if (this.#launch.get(MARK) === null) {
      this.#table.clear();
    }
    return this.#table.all();
  }

  save(kept: KeptSeats): void {
    if (this.#launch.get(MARK) === null) {
      this.#launch.put(MARK, {});
    }
    this.#table.save(kept);
  }

  sync(): Promise<void> {
    return this.#table.sync();
  }
}
