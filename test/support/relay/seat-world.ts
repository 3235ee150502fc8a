import { HubError } from "../../../src/hub/errors.ts";
import { LeasedSeats } from "../../../src/relay/leased-seats.ts";
import { Leasing, type LeasingSettings } from "../../../src/relay/leasing.ts";
import type { Lease, LeaseRequest, Recalled } from "../../../src/relay/seat-lease.ts";
import type { KeptSeats, SeatStore } from "../../../src/relay/seat-store.ts";
import type { Random } from "../faults/random.ts";
import { FakeClock } from "../hub/fake-clock.ts";
import { never, RoughNetwork } from "./rough-network.ts";

/** How often a Worker follows the answer of a full relay. */
const HOPS = 3;

/** How long a relay without clients keeps its seats. */
const LINGER_MS = 8_000;

/** How long a hub does not notice that a stream is dead. */
const UNNOTICED_MS = 3_000;

/** The rows of the hub's storage. What was not durable is lost when the hub is. */
class Rows {
  #written: ReadonlyMap<string, KeptSeats> = new Map();
  #durable = this.#written;
  /** How often the rows were made durable, and what the latest of them is. */
  #syncs = 0;
  #durableSync = 0;

  /** The storage as one life of the hub uses it. */
  open(world: SeatWorld, isAlive: () => boolean): SeatStore {
    this.#written = this.#durable;
    return {
      all: () => [...this.#written.values()],
      save: ({ relay, life, held, version }) => {
        if (isAlive()) {
          const rows = new Map(this.#written);
          rows.delete(`${relay} ${life}`);
          this.#written = held === 0 ? rows : rows.set(`${relay} ${life}`, { relay, life, held, version });
        }
      },
      sync: async () => {
        const written = this.#written;
        const sync = ++this.#syncs;
        await world.network.wait(world.random.between(0, 30));
        if (!isAlive()) {
          await never();
        }
        if (world.network.isRough && world.random.chance(0.03)) {
          throw new Error("the storage has failed");
        }
        if (sync > this.#durableSync) {
          this.#durable = written;
          this.#durableSync = sync;
        }
      },
    };
  }
}

/** One life of a relay: its seats, and how many clients it has. */
export class ModelRelay {
  readonly name: string;
  readonly life = crypto.randomUUID();
  readonly seats: LeasedSeats;
  clients = 0;
  isAlive = true;
  /** Until when no message passes between it and the hub. */
  cutUntil = 0;
  emptySince: number;
  readonly #world: SeatWorld;
  #isEnding = false;

  constructor(name: string, world: SeatWorld) {
    this.name = name;
    this.#world = world;
    this.emptySince = world.clock.now();
    this.seats = new LeasedSeats({
      clock: world.clock,
      relay: name,
      life: this.life,
      capacity: world.settings.clientsPerObject,
      used: () => this.clients,
      lease: (request) => this.#lease(request),
      leased: (lease) => this.#leased(lease),
      lapsed: () => this.#endExcess(),
    });
    void this.#attach();
    void this.#live();
  }

  get isCut(): boolean {
    return this.#world.clock.now() < this.cutUntil;
  }

  /** Resolves to `in`, `limit`, or the relay that should take the client. */
  async connect(): Promise<string> {
    if (this.#enter()) {
      return "in";
    }
    try {
      await this.seats.request();
    } catch (error) {
      return error instanceof HubError && error.next !== undefined ? error.next : "limit";
    }
    return this.isAlive && this.#enter() ? "in" : "limit";
  }

  leave(): void {
    if (this.clients > 0) {
      this.clients--;
      this.emptySince = this.#world.clock.now();
      this.seats.left();
    }
  }

  async recall(version: number): Promise<Recalled> {
    if (this.isCut) {
      await never();
    }
    const reply = this.seats.recall(version);
    this.#check();
    return reply;
  }

  /** Its object is lost, and its streams with it. */
  die(): void {
    this.clients = 0;
    this.isAlive = false;
  }

  /** The hub has ended its stream, because another life has attached. */
  async end(): Promise<void> {
    this.clients = 0;
    this.seats.giveUp();
    if (this.#world.isCurrent(this)) {
      await this.#attach();
      return;
    }
    this.#isEnding = true;
    await this.#world.network.wait(500);
    this.die();
  }

  /** Opens the stream of the hub, until it is told that it was replaced. */
  async #attach(): Promise<void> {
    await this.#world.network.delay();
    while (this.isAlive && this.isCut) {
      await this.#world.network.wait(500);
    }
    if (this.isAlive && !this.#world.attach(this)) {
      await this.end();
    }
  }

  reattach(): void {
    void this.#attach();
  }

  async #live(): Promise<void> {
    const { network, random, clock } = this.#world;
    while (this.isAlive) {
      await network.wait(random.between(200, 2_000));
      if (this.isAlive && this.seats.nextDue() <= clock.now()) {
        this.seats.tick();
        this.#check();
      }
      if (this.isAlive && this.clients === 0 && clock.now() >= this.emptySince + LINGER_MS) {
        this.seats.release();
      }
    }
  }

  #enter(): boolean {
    if (this.#isEnding || this.clients >= this.seats.limit) {
      return false;
    }
    this.clients++;
    this.#check();
    this.#world.check();
    return true;
  }

  async #lease(request: LeaseRequest): Promise<Lease> {
    const lease = await this.#world.network.call(() =>
      this.isCut ? never<Lease>() : this.#world.lease(request),
    );
    return this.isAlive && !this.isCut ? lease : never();
  }

  #leased(lease: Lease): void {
    this.#endExcess();
    this.#check();
    if (!lease.isAttached) {
      void this.#attach();
    }
  }

  #endExcess(): void {
    while (this.clients > this.seats.limit) {
      this.leave();
    }
  }

  #check(): void {
    if (this.clients > this.seats.held) {
      this.#world.faults.push(`${this.name} has ${this.clients} clients and ${this.seats.held} seats`);
    }
  }
}

/** A channel with relays: a hub that can be lost, relays that can be lost and doubled, and a network between them. */
export class SeatWorld {
  readonly clock = new FakeClock();
  readonly network: RoughNetwork;
  readonly settings: LeasingSettings;
  readonly random: Random;
  /** The promises that were broken. */
  readonly faults: string[] = [];
  /** All lives that are alive, also those that were replaced and do not know it. */
  #lives: ModelRelay[] = [];
  /** The life to which each name leads. */
  readonly #current = new Map<string, ModelRelay>();
  #attached = new Map<string, ModelRelay>();
  readonly #rows = new Rows();
  #leasing: Leasing;

  constructor(random: Random, settings: LeasingSettings) {
    this.random = random;
    this.settings = settings;
    this.network = new RoughNetwork(this.clock, random);
    this.#leasing = this.#startHub();
  }

  get clients(): number {
    return this.#lives.reduce((sum, { clients }) => sum + clients, 0);
  }

  get relays(): readonly ModelRelay[] {
    this.#lives = this.#lives.filter(({ isAlive }) => isAlive);
    return this.#lives;
  }

  /** Connects a client as a Worker does: it follows the answers of full relays. */
  async connect(name: string): Promise<string> {
    let relay = name;
    for (let hop = 0; hop <= HOPS; hop++) {
      await this.network.wait(this.random.between(1, 10));
      const answer = await this.#relay(relay).connect();
      if (answer === "in" || answer === "limit") {
        return answer;
      }
      relay = answer;
    }
    return "limit";
  }

  check(): void {
    if (this.clients > this.settings.maxConnections) {
      const all = this.#lives.map(({ name, clients }) => `${name}: ${clients}`);
      this.faults.push(`${this.clients} clients at ${this.clock.now()}: ${all.join(", ")}`);
    }
  }

  /** Loses a relay with its clients. Its name leads to another life as soon as a client comes. */
  kill(relay: ModelRelay): void {
    relay.die();
    if (this.isCurrent(relay)) {
      this.#current.delete(relay.name);
    }
    void this.#breakStream(relay);
  }

  /** Whether the name of a relay leads to this life of it. */
  isCurrent(relay: ModelRelay): boolean {
    return this.#current.get(relay.name) === relay;
  }

  /** Starts a new life of a relay while the old one still has its clients, as a deploy can do. */
  split(relay: ModelRelay): void {
    if (this.isCurrent(relay) && this.#attached.get(relay.name) === relay && !relay.isCut) {
      this.#start(relay.name);
    }
  }

  /** Lets no message pass between a relay and the hub for a while. */
  cut(relay: ModelRelay, forMs: number): void {
    // A life that was replaced cannot be told while it is cut off. The platform does not keep two lives for that long.
    const lives = this.relays.filter(({ name }) => name === relay.name);
    if (lives.length === 1 && this.isCurrent(relay)) {
      relay.cutUntil = this.clock.now() + forMs;
      void this.#breakStream(relay);
    }
  }

  /** Loses the hub and everything that was not durable. */
  restartHub(): void {
    this.#attached = new Map();
    this.#leasing = this.#startHub();
    this.relays.forEach((relay) => relay.reattach());
  }

  /** Ends all disorder. Lives to which no name leads end too. */
  calmDown(): void {
    this.network.isRough = false;
    for (const relay of this.relays) {
      relay.cutUntil = 0;
      if (!this.isCurrent(relay)) {
        this.kill(relay);
      }
    }
  }

  /** Returns false if the relay was replaced. */
  attach(relay: ModelRelay): boolean {
    const { name, life } = relay;
    if (this.#leasing.isReplaced(name, life) && this.isCurrent(relay)) {
      this.#leasing.current(name, life);
    }
    if (this.#leasing.isReplaced(name, life)) {
      return false;
    }
    const other = this.#attached.get(name);
    if (other !== undefined && other !== relay) {
      this.#leasing.left(name, other.life, "replaced");
      void this.network.delay().then(() => other.end());
    }
    this.#attached.set(name, relay);
    this.#leasing.attached(name, life);
    return true;
  }

  /** The hub's answer to a relay. It never comes if the hub is lost before. */
  async lease(request: LeaseRequest): Promise<Lease> {
    const leasing = this.#leasing;
    const lease = await leasing.lease(request);
    return leasing === this.#leasing ? lease : never();
  }

  #relay(name: string): ModelRelay {
    return this.#current.get(name) ?? this.#start(name);
  }

  #start(name: string): ModelRelay {
    const relay = new ModelRelay(name, this);
    this.#lives.push(relay);
    this.#current.set(name, relay);
    return relay;
  }

  #startHub(): Leasing {
    const isAlive = (): boolean => this.#leasing === leasing;
    const leasing: Leasing = new Leasing(this.settings, {
      clock: this.clock,
      store: this.#rows.open(this, isAlive),
      lifeOf: (name) => this.#attached.get(name)?.life ?? null,
      recall: async (name, version) => {
        const reply = await this.network.call(async () => this.#recallFrom(name, version));
        return isAlive() ? reply : never();
      },
    });
    return leasing;
  }

  #recallFrom(name: string, version: number): Promise<Recalled> {
    return this.#relay(name).recall(version);
  }

  /** The hub notices after a while that the stream of a relay is dead, and asks the relay for its life. */
  async #breakStream(relay: ModelRelay): Promise<void> {
    await this.network.wait(this.random.between(1, UNNOTICED_MS));
    const { name } = relay;
    if (this.#attached.get(name) !== relay) {
      return;
    }
    this.#attached.delete(name);
    const leasing = this.#leasing;
    leasing.left(name, relay.life, "client_left");
    const life = await this.network.call(async () => {
      const current = this.#relay(name);
      return current.isCut ? never<string>() : current.life;
    });
    if (leasing === this.#leasing) {
      leasing.current(name, life);
    }
    if (relay.isAlive) {
      relay.reattach();
    }
  }
}
