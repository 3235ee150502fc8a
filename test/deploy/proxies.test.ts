import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { lackOfPrograms, titleWith } from "../support/programs.ts";
import { PROXIES, startProxy, type RunningProxy } from "../support/proxies.ts";
import { startSelfHosted } from "../support/self-hosted.ts";
import { publishToken, type Service } from "../support/service.ts";
import { endOfIncomplete, openTlsStream, PROTOCOLS, send, type Door } from "../support/tls-client.ts";
import { until } from "../support/until.ts";

/** How soon "at once" is on a busy machine. A proxy that collects bytes would keep a small event for good. */
const AT_ONCE_MS = 1_000;

/**
 * HAProxy sees that a client of HTTP/1.1 has left when it cannot pass on a second heartbeat. And workerd does not say that
 * a proxy has closed its connection: the service learns it from a heartbeat, too.
 */
const HEARTBEAT_SECONDS = 1;
const TWO_HEARTBEATS_MS = 2 * 1.25 * HEARTBEAT_SECONDS * 1_000;

const MEBIBYTE = 1024 ** 2;

let service: Service;
let channels = 0;

const publishing = { Authorization: `Bearer ${publishToken}`, "Content-Type": "application/json" };

function newChannel(): string {
  return `proxied-${channels++}`;
}

/** The text of a batch of that many bytes. */
function batchOf(bytes: number): string {
  const events = Array.from({ length: 16 }, () => ({ type: "large", data: "x".repeat(64_000) }));
  const short = JSON.stringify([...events, { type: "large", data: "" }]).length;
  return JSON.stringify([...events, { type: "large", data: "x".repeat(bytes - short) }]);
}

beforeAll(async () => {
  service = await startSelfHosted({ heartbeat_interval_seconds: HEARTBEAT_SECONDS });
});
afterAll(() => service?.stop());

describe.each(PROXIES)("deploy/", (proxy) => {
  const lack = lackOfPrograms(proxy.programs);
  describe.skipIf(lack !== undefined)(`${titleWith(`behind ${proxy.name}`, lack)}`, () => {
    let running: RunningProxy;
    beforeAll(async () => {
      running = await startProxy(proxy, service.port);
    });
    afterAll(() => running?.stop());

    it("plain HTTP is redirected to HTTPS", async () => {
      const answer = await fetch(`http://127.0.0.1:${running.http}/api/events?types=a`, {
        headers: { Host: "sse.example.com" },
        redirect: "manual",
      });
      expect([301, 308]).toContain(answer.status);
      expect(answer.headers.get("Location")).toMatch(/^https:\/\/[^/]+\/api\/events\?types=a$/);
    });

    it("a connection that sends no complete request is ended", async () => {
      expect(await endOfIncomplete(running.https)).toBeLessThan(20_000);
    });

    describe.each(PROTOCOLS)("%s", (protocol) => {
      const door = (): Door => ({ protocol, port: running.https });
      const publish = async (channel: string, body: string): Promise<number> =>
        (await send(door(), `/api/publish?channel=${channel}`, { method: "POST", headers: publishing, body }))
          .status;

      it("the first frame and every event pass at once", async () => {
        const channel = newChannel();
        const stream = await openTlsStream(door(), `/api/events?channel=${channel}`);
        expect(stream.status).toBe(200);
        expect((await stream.nextEvent(AT_ONCE_MS)).type).toBe("connected");
        const passed: unknown[] = [];
        for (let n = 1; n <= 5; n++) {
          expect(await publish(channel, JSON.stringify({ type: "tick", data: n }))).toBe(200);
          passed.push((await stream.nextEvent(AT_ONCE_MS)).data);
        }
        expect(passed).toEqual(["1", "2", "3", "4", "5"]);
        stream.end();
      });

      it("a client resumes with its last id", async () => {
        const channel = newChannel();
        await publish(channel, JSON.stringify([1, 2, 3].map((data) => ({ type: "tick", data }))));
        const headers = { "Last-Event-ID": "1" };
        const stream = await openTlsStream(door(), `/api/events?channel=${channel}`, { headers });
        const ids: string[] = [];
        for (let n = 0; n < 3; n++) {
          ids.push((await stream.nextEvent(AT_ONCE_MS)).id);
        }
        expect(ids).toEqual(["1", "2", "3"]);
        stream.end();
      });

      it("a stream is not compressed, even if the client accepts that", async () => {
        const headers = { "Accept-Encoding": "gzip, br, deflate, zstd" };
        const stream = await openTlsStream(door(), `/api/events?channel=${newChannel()}`, { headers });
        expect(stream.headers["content-encoding"]).toBeUndefined();
        expect(stream.headers["content-type"]).toBe("text/event-stream; charset=utf-8");
        expect(stream.headers["cache-control"]).toBe("no-cache, no-store, no-transform");
        expect((await stream.nextEvent(AT_ONCE_MS)).type).toBe("connected");
        stream.end();
      });

      it("the service notices within two heartbeats that a client has left", async () => {
        const channel = newChannel();
        const stream = await openTlsStream(door(), `/api/events?channel=${channel}`);
        await stream.nextEvent(AT_ONCE_MS);
        expect((await service.health(channel)).sse.active_connections).toBe(1);
        stream.leave();
        await until(async () => (await service.health(channel)).sse.active_connections === 0, {
          what: "the client to leave the registry",
          timeoutMs: TWO_HEARTBEATS_MS + 500,
        });
        stream.end();
      });

      it("a publish of 1 MiB passes, and the service itself refuses a larger one", async () => {
        const channel = newChannel();
        expect(await publish(channel, batchOf(MEBIBYTE))).toBe(200);
        const large = { method: "POST", headers: publishing, body: batchOf(MEBIBYTE + 1) };
        // The service answers before it has the body, and closes the connection. A proxy that is still sending can then
        // miss the answer: it says 502 or closes its own connection.
        const refused = await until(
          async () => {
            const answer = await send(door(), `/api/publish?channel=${channel}`, large).catch(
              () => undefined,
            );
            return answer?.status === 413 ? answer : undefined;
          },
          { what: "413 for a body that is too large" },
        );
        expect(refused.headers["content-type"]).toBe("application/problem+json");
      });

      it("the longest token reaches the service", async () => {
        const answer = await send(door(), "/api/publish", {
          method: "POST",
          headers: { ...publishing, Authorization: `Bearer ${"x".repeat(8_192)}` },
          body: "[]",
        });
        expect(answer.status).toBe(401);
        expect(answer.headers["content-type"]).toBe("application/problem+json");
      });

      it("the service counts the real address of the client, and not a forged one", async () => {
        const path = `/api/events?channel=${newChannel()}`;
        const open = (localAddress: string, headers = {}) =>
          openTlsStream(door(), path, { localAddress, headers });
        const streams = [
          await open("127.0.0.5"),
          await open("127.0.0.6"),
          await open("127.0.0.5"),
          await open("127.0.0.5", { "X-Forwarded-For": "203.0.113.7" }),
        ];
        expect(streams.map(({ status }) => status)).toEqual([200, 200, 429, 429]);
        for (const stream of streams) {
          stream.end();
        }
      });
    });
  });
});
