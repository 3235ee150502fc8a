import { readdirSync } from "node:fs";

import { describe, expect, it, type TestContext } from "vitest";

import { findDescendant, residentKilobytes } from "../../../bench/process-usage.ts";
import { gather, type Crowd, type CrowdOptions } from "../../support/crowd.ts";
import { host, isExcepted } from "../../support/host.ts";
import {
  adminToken,
  publishToken,
  startService,
  type Service,
  type ServiceOptions,
} from "../../support/service.ts";
import { until } from "../../support/until.ts";

const linux = process.platform === "linux";

/** The runtime ends what has not become a request within 15 s, and looks for them every second or so. */
const LONGEST_LIFE_MS = 20_000;

/** A service, and the crowds that are gathered around it. */
class Siege {
  readonly service: Service;
  readonly #crowds: Crowd[] = [];

  private constructor(service: Service) {
    this.service = service;
  }

  /** Starts a service, and ends it and its crowds with the test. */
  static async begin({ onTestFinished }: TestContext, options: ServiceOptions = {}): Promise<Siege> {
    const siege = new Siege(await startService(options));
    onTestFinished(async () => {
      for (const crowd of siege.#crowds) {
        crowd.disperse();
      }
      await siege.service.stop();
    });
    return siege;
  }

  async attack(options: Omit<CrowdOptions, "port">): Promise<Crowd> {
    const crowd = await gather({ port: this.service.port, ...options });
    this.#crowds.push(crowd);
    return crowd;
  }

  get runtime(): number {
    return findDescendant(this.service.pid, host.name) ?? 0;
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.runtime}/fd`).length;
  }

  readonly isReachable = (): Promise<boolean> =>
    fetch(`${this.service.url}/health`, {
      signal: AbortSignal.timeout(1000),
      headers: { Connection: "close" },
    }).then(
      (answer) => answer.ok,
      () => false,
    );
}

// The runtime takes its time to end such connections: the tests wait together.
describe.concurrent("connections that never send a whole request", () => {
  const partial = "GET /health HTTP/1.1\r\nX-Endless: ";
  const kinds = (port: number): Record<string, Omit<CrowdOptions, "port" | "size">> => {
    const hostHeader = `Host: 127.0.0.1:${port}\r\n`;
    const publish = `POST /api/publish HTTP/1.1\r\n${hostHeader}Content-Type: application/json\r\n`;
    return {
      "of no byte": {},
      "of a part of the header": { bytes: partial },
      "of a byte each second": { bytes: partial, drip: { bytes: "x", everyMs: 1000 } },
      "that are kept alive after an answer": { bytes: `GET /health HTTP/1.1\r\n${hostHeader}\r\n` },
      "of a part of the body": {
        bytes: `${publish}Authorization: Bearer ${publishToken}\r\nContent-Length: 100\r\n\r\n{`,
      },
      "of a part of the body, without a token": { bytes: `${publish}Content-Length: 100\r\n\r\n{` },
    };
  };

  it.skipIf(isExcepted("a connection that ends when no request comes"))(
    "end within 20 s, whatever they have sent, and leave nothing behind",
    { timeout: 60_000 },
    async (context) => {
      const siege = await Siege.begin(context);
      const before = linux ? siege.descriptors : 0;
      const gathered = await Promise.all(
        Object.entries(kinds(siege.service.port)).map(async ([name, kind]) => ({
          name,
          crowd: await siege.attack({ size: 100, ...kind }),
        })),
      );
      await Promise.all(gathered.map(({ crowd }) => crowd.closed));
      for (const { name, crowd } of gathered) {
        expect({ name, ended: crowd.lives.length }).toEqual({ name, ended: 100 });
        expect({ name, lateMs: Math.max(0, ...crowd.lives.map((life) => life - LONGEST_LIFE_MS)) }).toEqual({
          name,
          lateMs: 0,
        });
      }
      if (linux) {
        await until(() => siege.descriptors <= before + 30, {
          what: () => `${before} descriptors, has ${siege.descriptors}`,
        });
      }
      expect(siege.service.logs.filter(({ event }) => event === "runtime_message")).toEqual([]);
    },
  );

  it.skipIf(!linux)(
    "2,000 at a time cost few descriptors and less than 20 kB each, and delay no other client",
    async (context) => {
      const siege = await Siege.begin(context, { ulimit: "-S -n 1024" });
      await siege.isReachable();
      const before = { descriptors: siege.descriptors, kilobytes: residentKilobytes(siege.runtime) };
      const crowd = await siege.attack({ size: 2000, bytes: partial });
      const expected = 2000 * host.descriptorsPerConnection;
      await until(() => siege.descriptors - before.descriptors >= expected, { what: "2,000 connections" });
      expect(crowd.connected).toBe(2000);
      expect(await siege.isReachable()).toBe(true);
      expect(siege.descriptors - before.descriptors).toBeLessThan(expected + 100);
      expect((residentKilobytes(siege.runtime) - before.kilobytes) / 2000).toBeLessThan(20);
    },
  );
});

describe.concurrent("the limit of descriptors", () => {
  it("is raised to the hard limit and logged", async (context) => {
    const siege = await Siege.begin(context, { ulimit: "-S -n 300" });
    const line = await siege.service.logged("descriptors");
    expect(line).toMatchObject({ level: "info", needed: 1224 });
    expect(line["limit"]).toBeGreaterThan(300);
    const { hard_limit: hard } = line;
    expect(line["limit"]).toBe(hard === "unlimited" ? line["limit"] : Math.min(Number(hard), 1_048_576));
  });

  it("causes a warning if it is too low for a full channel", async (context) => {
    const siege = await Siege.begin(context, {
      ulimit: "-n 1024",
      config: { sse: { max_connections: 1000 } },
    });
    expect(await siege.service.logged("descriptors")).toMatchObject({
      level: "warn",
      limit: 1024,
      hard_limit: 1024,
      needed: 3024,
    });
  });

  it.skipIf(isExcepted("streams that outlive the last descriptor"))(
    "when it is used up, ends no stream, and others come in again once the crowd has left",
    async (context) => {
      const siege = await Siege.begin(context, { ulimit: "-n 400" });
      const { service, isReachable } = siege;
      const stream = await service.stream();
      const crowd = await siege.attack({ size: 600 });
      expect(await isReachable()).toBe(false);
      crowd.disperse();
      await until(isReachable, { what: "an answer", everyMs: 100 });
      await service.publish({ type: "after", data: 1 });
      expect(await stream.nextEvent()).toMatchObject({ type: "connected" });
      expect(await stream.nextEvent()).toMatchObject({ type: "after" });
      expect(service.logs.filter(({ event }) => event === "runtime_message").length).toBeLessThan(10);
    },
  );

  // workerd takes two descriptors for each connection. It survives when the second cannot be had, and exits when
  // accept() itself fails. Which of them fails depends on how many it had before: one of these two limits is hit by each.
  it.skipIf(isExcepted("a connection that ends when no request comes"))(
    "when it is used up, shuts others out for 20 s at most and loses neither an event nor a drain",
    { timeout: 90_000 },
    async (context) => {
      const survive = async (limit: number): Promise<boolean> => {
        const siege = await Siege.begin(context, { ulimit: `-n ${limit}` });
        const { service, isReachable } = siege;
        const hasRestarted = (): boolean => service.logs.some(({ event }) => event === "runtime_restarted");
        // On a connection that holds no descriptor afterwards.
        const publish = async (type: string): Promise<void> => {
          const body = JSON.stringify({ type, data: 1 });
          const answer = await service.post(body, { headers: { Connection: "close" } });
          expect(answer.status).toBe(200);
        };
        await publish("before");
        const drain = await fetch(`${service.url}/api/admin/drain?channel=default`, {
          method: "POST",
          headers: { Authorization: `Bearer ${adminToken}`, Connection: "close" },
        });
        expect(drain.status).toBe(200);
        const crowd = await siege.attack({ size: 600 });
        await until(async () => hasRestarted() || !(await isReachable()), { what: "no more descriptors" });
        await until(isReachable, { what: "an answer", timeoutMs: LONGEST_LIFE_MS, everyMs: 200 });
        crowd.disperse();
        await publish("after");
        const history = await service.fetch("/api/history");
        expect(await history.json()).toMatchObject({ events: [{ id: "1" }, { id: "2" }] });
        const health = await service.fetch("/health?channel=default");
        expect(await health.json()).toMatchObject({ status: "draining" });
        expect(service.logs.filter(({ event }) => event === "runtime_message").length).toBeLessThan(10);
        return hasRestarted();
      };
      expect(await Promise.all([survive(1023), survive(1024)])).toContain(true);
    },
  );
});
