import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { sendCut } from "../../support/faults/cut-request.ts";
import { startService, type Service } from "../../support/service.ts";

let service: Service;

beforeAll(async () => {
  service = await startService({ config: { channels: { allowed: ["*"] } } });
});

afterAll(() => service.stop());

const whole = { type: "a", data: 1, key: "k" };
const lines = `${JSON.stringify(whole)}\n`.repeat(3);

describe.each([
  ["NDJSON, after whole lines", "application/x-ndjson", lines],
  ["NDJSON, in a line", "application/x-ndjson", lines.slice(0, -9)],
  ["JSON, after a whole value", "application/json", JSON.stringify([whole])],
  ["JSON, in a value", "application/json", JSON.stringify([whole]).slice(0, -4)],
])("Publishing: a body that is cut short (%s)", (what, contentType, body) => {
  describe.each([
    ["with a length", body.length + 100],
    ["in chunks", null],
  ])("that is sent %s", (framing, contentLength) => {
    it.each(["fin", "rst", "close"] as const)("is not stored when its connection ends by %s", async (how) => {
      const channel = `${what}-${framing}-${how}`.toLowerCase().replaceAll(/[^a-z]+/g, "-");
      const stream = await service.stream({ channel });
      const answer = await sendCut(service.url, { body, contentLength, contentType, how, channel });
      expect(answer).not.toMatch(/^HTTP\/1\.1 (?:2|5)/);
      // Had anything of it been stored, this one were a duplicate, or not the first.
      const { events } = await service.publish(whole, channel);
      expect(events).toEqual([{ id: "1", type: "a", duplicate: false }]);
      expect(await stream.nextEvent({ type: "a" })).toMatchObject({ id: "1" });
      expect((await service.health(channel)).sse.last_event_id).toBe("1");
      // A body that is cut short is no error of the service.
      expect(service.logs.filter(({ level }) => level === "error")).toEqual([]);
      expect(service.output).not.toMatch(/uncaught|unhandled/i);
    });
  });
});
