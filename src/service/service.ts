import { createJwtVerifier, type JwtVerifier } from "../auth/jwt.ts";
import type { Host } from "./host.ts";
import { FloodMemory } from "./access/flood.ts";
import { RequestBudget } from "./access/request-budget.ts";
import { Stopping } from "./access/stopping.ts";
import { KnownChannels } from "./known-channels.ts";
import { Addresses } from "./request/address.ts";
import { RefusalLog } from "./response/refusal-log.ts";
import { ReusedText } from "./response/reused-text.ts";

/** The service in one process or isolate: its host, and the state that requests share. */
export class Service {
  readonly host: Host;
  readonly refusals: RefusalLog;
  readonly budget: RequestBudget;
  readonly channels: KnownChannels;
  readonly floods: FloodMemory;
  readonly stopping: Stopping;
  /** The metrics of all channels. */
  readonly metrics: ReusedText;
  /** The requests whose credential is valid for their route. */
  readonly proven = new WeakSet<Request>();
  readonly #addresses: Addresses;
  #jwt: JwtVerifier | undefined;

  constructor(host: Host) {
    const { config, clock, logger } = host;
    this.host = host;
    this.refusals = new RefusalLog(logger, clock);
    this.budget = new RequestBudget(config.limits.max_requests_per_minute_per_address, clock);
    this.channels = new KnownChannels(host, this.refusals);
    this.floods = new FloodMemory(clock);
    this.stopping = new Stopping(this.refusals);
    this.metrics = new ReusedText(clock);
    const { exempt_addresses: exempt, trusted_proxies: trusted } = config.limits;
    this.#addresses = new Addresses({ exempt, trusted });
  }

  /** Verifies JSON Web Tokens, and keeps the keys that it has fetched. */
  get jwt(): JwtVerifier {
    const { config, secrets } = this.host;
    this.#jwt ??= createJwtVerifier(config.auth.jwt, config.filters.fields, secrets.JWT_SECRET, {
      fetch: (...request) => fetch(...request),
      keepAlive: (promise) => this.host.keepAlive(promise),
    });
    return this.#jwt;
  }

  /** The address of a request, as the limits count it; null if the limits per address do not apply. */
  addressOf(request: Request): string | null {
    return this.#addresses.of(this.host.peerOf(request), request.headers.get("X-Forwarded-For"));
  }

  /** The default `Retry-After`. */
  get retryAfterSeconds(): number {
    return this.host.config.sse.retry_after_seconds;
  }
}
