import { ExpectedClients } from "./expected-clients.ts";
import { formatRelay, parseRelay } from "./relay-port.ts";
import type { Place } from "./seat-lease.ts";

/** A relay that was full takes clients again when it has fewer than this part of what it can hold. */
const ROOM_PART = 0.9;

/** For how long the last places are kept for clients that were sent there. They may have found another place. */
const LAST_PLACES_KEPT_MS = 150;

/** The clients of one relay. */
interface Load {
  readonly relay: string;
  readonly region: string;
  readonly number: number;
  /** Whether it has told of itself. Otherwise clients were sent there, and it may never wake. */
  isAwake: boolean;
  used: number;
  /** The most clients that its object can hold. */
  capacity: number;
  /** It was full, and is not empty enough to take clients again. */
  isFull: boolean;
  readonly expected: ExpectedClients;
}

/** The bounds of a placement. */
export interface PlacementSettings {
  /** The most relays of the channel, over all regions. */
  readonly maxRelays: number;
  readonly clientsPerObject: number;
}

/** Which relay takes the clients that another one has no room for. The relays of a region fill one after another. */
export class Placement {
  readonly #settings: PlacementSettings;
  readonly #loads = new Map<string, Load>();

  constructor(settings: PlacementSettings) {
    this.#settings = settings;
  }

  /** Whether a relay may have clients. False for one more relay than the channel may have. */
  accepts(relay: string): boolean {
    return this.#loads.has(relay) || this.#loads.size < this.#settings.maxRelays;
  }

  /** Notes how many clients a relay has, and the most that it can hold if it is full. */
  note(relay: string, used: number, fullAt: number | null): void {
    const load = this.#loads.get(relay) ?? this.#add(relay);
    load.expected.arrived(Math.max(0, used - load.used));
    load.used = used;
    load.isAwake = true;
    load.capacity = fullAt ?? load.capacity;
    load.isFull = fullAt !== null || (load.isFull && used >= load.capacity * ROOM_PART);
  }

  /** Notes how many clients a relay has counted just now. Clients that were sent there before have arrived. */
  recount(relay: string, used: number): void {
    this.note(relay, used, null);
    this.#loads.get(relay)?.expected.clear();
  }

  /** Whether there is a place for a client at any other relay, as far as is known. */
  hasPlace(from: string, now: number): boolean {
    this.#dropLate(now);
    const isNewAllowed = this.#loads.size < this.#settings.maxRelays;
    const others = this.#loadsWhere((load) => load.relay !== from);
    return isNewAllowed || others.some((load) => lastPlacesOf(load, now) > 0);
  }

  /** Forgets a relay that has no clients. */
  forget(relay: string): void {
    this.#loads.delete(relay);
  }

  /**
   * Where clients of a relay's region should go: its relays with room, by number, then new relays, then the relays of
   * other regions. If none of them has room, any place is better than a refusal.
   */
  next(from: string, clients: number, now: number): Place[] {
    this.#dropLate(now);
    const { region } = parseRelay(from);
    const places: Place[] = [];
    const send = (load: Load, room = roomOf(load)): void => {
      const sent = load.relay === from ? 0 : Math.min(clients - sentTo(places), room);
      if (sent > 0) {
        load.expected.add(sent, now);
        places.push({ relay: load.relay, clients: sent });
      }
    };
    const near = this.#loadsWhere((load) => load.region === region);
    const far = this.#loadsWhere((load) => load.region !== region);
    near.forEach((load) => send(load));
    while (sentTo(places) < clients && this.#loads.size < this.#settings.maxRelays) {
      send(this.#add(formatRelay({ region, number: this.#unusedNumber(region) })));
    }
    far.forEach((load) => send(load));
    [...near, ...far].forEach((load) => send(load, lastPlacesOf(load, now)));
    return places;
  }

  #add(relay: string): Load {
    const { region, number } = parseRelay(relay);
    const { clientsPerObject: capacity } = this.#settings;
    const load: Load = {
      relay,
      region,
      number,
      isAwake: false,
      used: 0,
      capacity,
      isFull: false,
      expected: new ExpectedClients(),
    };
    this.#loads.set(relay, load);
    return load;
  }

  #loadsWhere(isWanted: (load: Load) => boolean): Load[] {
    return [...this.#loads.values()].filter(isWanted).toSorted((a, b) => a.number - b.number);
  }

  #unusedNumber(region: string): number {
    let number = 1;
    while (this.#loads.has(formatRelay({ region, number }))) {
      number++;
    }
    return number;
  }

  /** Clients that have not arrived by now do not come. */
  #dropLate(now: number): void {
    for (const load of this.#loads.values()) {
      load.expected.dropLate(now);
      if (!load.isAwake && load.expected.since(0) === 0) {
        this.#loads.delete(load.relay);
      }
    }
  }
}

/** How many clients a relay should take. */
function roomOf(load: Load): number {
  return load.isFull ? 0 : placesOf(load, 0);
}

/** How many clients a relay can take if no other relay can. */
function lastPlacesOf(load: Load, now: number): number {
  return placesOf(load, now - LAST_PLACES_KEPT_MS);
}

/** How many places of a relay are not kept for clients that were sent there since a time. */
function placesOf({ capacity, used, expected }: Load, time: number): number {
  return Math.max(0, capacity - used - expected.since(time));
}

function sentTo(places: readonly Place[]): number {
  return places.reduce((sum, { clients }) => sum + clients, 0);
}
