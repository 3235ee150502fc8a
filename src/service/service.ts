import { createJwtVerifier, type JwtVerifier } from "../auth/jwt.ts";
import type { Host } from "./host.ts";
import { FloodMemory } from "./access/flood.ts";
import { RequestBudget } from "./access/request-budget.ts";
import { Stopping } from "./access/stopping.ts";
import { KnownChannels } from "./known-channels.ts";
import { Addresses } from "./request/address.ts";
import { RefusalLog } from "./response/refusal-log.ts";

/** The service in one process or isolate: its host, and everything that is remembered from one request to the next. */
export class Service {
  readonly host: Host;
  readonly refusals: RefusalLog;
  readonly budget: RequestBudget;
  readonly channels: KnownChannels;
  readonly floods: FloodMemory;
  readonly stopping: Stopping;
  /** Requests whose credential was found valid for their route. */
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
    const { exempt_addresses: exempt, trusted_proxies: trusted } = config.limits;
    this.#addresses = new Addresses({ exempt, trusted });
  }

  /** Verifies JSON Web Tokens. It keeps the keys of the deployment. */
  get jwt(): JwtVerifier {
    const { config, secrets } = this.host;
    this.#jwt ??= createJwtVerifier(config.auth.jwt, secrets.JWT_SECRET, {
      fetch: (...request) => fetch(...request),
      keepAlive: (promise) => this.host.keepAlive(promise),
    });
    return this.#jwt;
  }

  /** The address of a request, as the limits count it; null: the limits per address do not apply. */
  addressOf(request: Request): string | null {
    return this.#addresses.of(this.host.peerOf(request), request.headers.get("X-Forwarded-For"));
  }

  /** What a client waits that is not told otherwise, in seconds. */
  get retryAfterSeconds(): number {
    return this.host.config.sse.retry_after_seconds;
  }
}
