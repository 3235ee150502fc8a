import { Alarm } from "../../../src/hub/alarm.ts";
import { Audience } from "../../../src/hub/audience/audience.ts";
import { OpenStreams } from "../../../src/hub/audience/open-streams.ts";
import { Closing } from "../../../src/hub/closing.ts";
import type { Clock } from "../../../src/hub/clock.ts";
import { createCounters } from "../../../src/hub/counters.ts";
import type { FilterTerms } from "../../../src/hub/filter.ts";
import type { HubSettings } from "../../../src/hub/hub-settings.ts";
import type { StartRequest } from "../../../src/hub/log/log-view.ts";
import { Feed } from "../../../src/relay/feed.ts";
import { Tail, type TailBounds } from "../../../src/relay/tail.ts";
import type { Upstream } from "../../../src/relay/upstream.ts";
import type { LogLine } from "../hub/fake-hub.ts";
import { FakeStream } from "../hub/fake-stream.ts";

/** Every random delay is in the middle of its range. */
const random = (): number => 0.5;

/** A feed, a tail and an audience, without seats. */
export class RelayAudience {
  readonly clock: Clock;
  readonly tail: Tail;
  readonly feed: Feed;
  readonly audience: Audience;
  readonly lines: LogLine[] = [];
  readonly #alarm: Alarm;
  #cancelAlarm: () => void = () => {};

  constructor(upstream: Upstream, settings: HubSettings & { readonly tail: TailBounds }, clock: Clock) {
    this.clock = clock;
    const logger = (level: LogLine["level"], event: string, fields = {}): void => {
      this.lines.push({ level, event, fields });
    };
    this.tail = new Tail(upstream, settings, clock);
    const observer = { attached: () => {}, lost: () => {}, ended: () => {} };
    const { heartbeatIntervalMs } = settings;
    this.feed = new Feed(upstream, this.tail, observer, { clock, logger, heartbeatIntervalMs, random });
    this.#alarm = new Alarm(heartbeatIntervalMs, (at) => this.#setAlarm(at));
    this.audience = new Audience(
      settings,
      this.tail,
      { openStreams: new OpenStreams(), random, beforeFirstClient: () => Promise.resolve() },
      {
        clock,
        logger,
        counters: createCounters(),
        alarm: this.#alarm,
        closing: new Closing({ clock, saveDrain: () => {} }, logger),
      },
    );
  }

  /** Asks for a stream. If it is refused, the stream ends. */
  connect(terms: FilterTerms, start: StartRequest): FakeStream {
    const stream = new FakeStream();
    void this.#enter(terms, start, stream);
    return stream;
  }

  async #enter(terms: FilterTerms, start: StartRequest, stream: FakeStream): Promise<void> {
    try {
      const attached = this.feed.attach();
      this.#arm();
      await attached;
      await this.audience.connect({ terms, start, address: null, endsAt: null }, stream);
    } catch {
      stream.end().catch(() => {});
    }
    this.#arm();
  }

  #arm(): void {
    this.#alarm.arm(Math.min(this.audience.nextDue(), this.feed.nextDue()));
  }

  #setAlarm(at: number): void {
    this.#cancelAlarm();
    this.#cancelAlarm = this.clock.after(Math.max(0, at - this.clock.now()), () => {
      this.#alarm.rung();
      this.audience.tick();
      this.feed.check(this.clock.now());
      this.#arm();
    });
  }
}
