import { readdirSync } from "node:fs";

import { afterEach, describe, expect, it } from "vitest";

import { findDescendant, residentKilobytes } from "../../../bench/process-usage.ts";
import { host, isExcepted } from "../../support/host.ts";
import { gather, type Crowd, type CrowdOptions } from "../../support/crowd.ts";
import { publishToken, startService, type Service } from "../../support/service.ts";
import { until } from "../../support/until.ts";

const linux = process.platform === "linux";

/** The runtime ends what has not become a request within 15 s, and looks for them every second or so. */
const LONGEST_LIFE_MS = 20_000;

let service: Service;
let crowds: Crowd[] = [];

afterEach(async () => {
  for (const crowd of crowds) {
    crowd.disperse();
  }
  crowds = [];
  await service.stop();
});

const attack = async (options: Omit<CrowdOptions, "port">): Promise<Crowd> => {
  const crowd = await gather({ port: service.port, ...options });
  crowds.push(crowd);
  return crowd;
};

const runtime = (): number => findDescendant(service.pid, host.name) ?? 0;
const descriptors = (): number => readdirSync(`/proc/${runtime()}/fd`).length;
const isReachable = (): Promise<boolean> =>
  fetch(`${service.url}/health`, {
    signal: AbortSignal.timeout(1000),
    headers: { Connection: "close" },
  }).then(
    (answer) => answer.ok,
    () => false,
  );

describe("connections that never send a whole request", () => {
  const partial = "GET /health HTTP/1.1\r\nX-Endless: ";
  const kinds = (): Record<string, Omit<CrowdOptions, "port" | "size">> => {
    const hostHeader = `Host: 127.0.0.1:${service.port}\r\n`;
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
    async () => {
      service = await startService();
      const before = linux ? descriptors() : 0;
      const gathered = await Promise.all(
        Object.entries(kinds()).map(async ([name, kind]) => ({
          name,
          crowd: await attack({ size: 100, ...kind }),
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
        await until(() => descriptors() <= before + 30, {
          what: () => `${before} descriptors, has ${descriptors()}`,
        });
      }
      expect(service.logs.filter(({ event }) => event === "runtime_message")).toEqual([]);
    },
  );

  it.skipIf(!linux)(
    "2,000 at a time cost few descriptors and less than 20 kB each, and hinder nobody",
    async () => {
      service = await startService({ ulimit: "-S -n 1024" });
      await isReachable();
      const before = { descriptors: descriptors(), kilobytes: residentKilobytes(runtime()) };
      const crowd = await attack({ size: 2000, bytes: partial });
      const expected = 2000 * host.descriptorsPerConnection;
      await until(() => descriptors() - before.descriptors >= expected, { what: "2,000 connections" });
      expect(crowd.connected).toBe(2000);
      expect(await isReachable()).toBe(true);
      expect(descriptors() - before.descriptors).toBeLessThan(expected + 100);
      expect((residentKilobytes(runtime()) - before.kilobytes) / 2000).toBeLessThan(20);
    },
  );
});

describe("the limit of descriptors", () => {
  it("is raised to the hard one, and said", async () => {
    service = await startService({ ulimit: "-S -n 300" });
    const line = await service.logged("descriptors");
    expect(line).toMatchObject({ level: "info", needed: 1224 });
    expect(line["limit"]).toBeGreaterThan(300);
    const { hard_limit: hard } = line;
    expect(line["limit"]).toBe(hard === "unlimited" ? line["limit"] : Math.min(Number(hard), 1_048_576));
  });

  it("is warned of when a channel could not fill up", async () => {
    service = await startService({ ulimit: "-n 1024", config: { sse: { max_connections: 1000 } } });
    expect(await service.logged("descriptors")).toMatchObject({
      level: "warn",
      limit: 1024,
      hard_limit: 1024,
      needed: 3024,
    });
  });

  it("when it is used up ends no stream, and others come in again once the crowd has left", async () => {
    service = await startService({ ulimit: "-n 400" });
    const stream = await service.stream();
    await attack({ size: 600 });
    expect(await isReachable()).toBe(false);
    crowds.forEach((crowd) => crowd.disperse());
    await until(isReachable, { what: "an answer", timeoutMs: 5_000, everyMs: 100 });
    await service.publish({ type: "after", data: 1 });
    expect(await stream.nextEvent()).toMatchObject({ type: "connected" });
    expect(await stream.nextEvent()).toMatchObject({ type: "after" });
  });

  it.skipIf(isExcepted("a connection that ends when no request comes"))(
    "when it is used up shuts others out for 20 s at most",
    { timeout: 60_000 },
    async () => {
      service = await startService({ ulimit: "-n 1024" });
      await attack({ size: 600 });
      expect(await isReachable()).toBe(false);
      await until(isReachable, { what: "an answer", timeoutMs: LONGEST_LIFE_MS, everyMs: 200 });
      expect(service.logs.filter(({ event }) => event === "runtime_message").length).toBeLessThan(10);
    },
  );
});
