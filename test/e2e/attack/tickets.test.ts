import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createAttacker, statuses } from "../../support/attacker.ts";
import { startService, type Service } from "../../support/service.ts";

/** What all 16 objects keep for one subject. */
const SHARE = 16 * 200;

/** The most unused tickets of one address. */
const SHARE_OF_ADDRESS = 16 * 20;

const purchase = { method: "POST", path: "/api/tickets", headers: { Authorization: "Bearer reader" } };

let service: Service;

beforeAll(async () => {
  service = await startService({
    config: {
      auth: { subscribe: "token" },
      limits: { exempt_addresses: [], max_requests_per_minute_per_address: 0 },
      logging: { level: "warn" },
    },
    env: { SUBSCRIBE_TOKEN: "reader" },
  });
});

afterAll(() => service.stop());

describe("An address that buys tickets without using them", () => {
  it("does not use up the tickets of others with the same token", async () => {
    const hostile = createAttacker(service.url, "127.0.0.66");
    const honest = createAttacker(service.url, "127.0.0.67");
    const bought = statuses(await hostile.askAll(Array.from({ length: SHARE }, () => purchase)));
    expect(Object.keys(bought)).toEqual(["200", "429"]);
    expect(bought[200]).toBeLessThanOrEqual(SHARE_OF_ADDRESS);
    const answers = await honest.askAll(Array.from({ length: 50 }, () => purchase));
    expect(statuses(answers)).toEqual({ 200: 50 });
    const { ticket } = JSON.parse(answers[0]?.text ?? "") as { ticket: string };
    const stream = await service.stream({ ticket }, { localAddress: "127.0.0.67" });
    expect(await stream.nextEvent()).toMatchObject({ type: "connected" });
    hostile.leave();
    honest.leave();
  });
});
