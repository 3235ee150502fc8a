import { describe, expect, it } from "vitest";

import { HubError } from "../../../../src/hub/errors.ts";
import { finished, MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

const ANY = { channels: { allowed: ["*"] } };

async function linesOf(service: MemoryService, path = "/metrics"): Promise<string[]> {
  return (await (await service.send(path)).text()).split("\n");
}

describe("GET /metrics", () => {
  it("has the counters of all channels, and how many channels there are", async () => {
    const service = new MemoryService({ config: ANY });
    await service.publish("a", "tick", "tick");
    await service.publish("b", "tick");
    const lines = await linesOf(service);
    expect(lines).toContain('edge_sse_events_total{channel="a"} 2');
    expect(lines).toContain('edge_sse_events_total{channel="b"} 1');
    expect(lines).toContain("edge_sse_channels 2");
    expect(lines).toContain("edge_sse_channels_not_shown 0");
  });

  it("leaves out a hub that cannot be reached, and counts it as not shown", async () => {
    const service = new MemoryService({ config: ANY });
    await service.publish("a", "tick");
    await service.publish("b", "tick");
    service.host.broken.set("a", new Error("gone"));
    const lines = await linesOf(service);
    expect(lines).toContain('edge_sse_events_total{channel="b"} 1');
    expect(lines).toContain("edge_sse_channels_not_shown 1");
  });

  it("asks the hubs once a second, however many scrapes there are", async () => {
    const service = new MemoryService();
    await service.publish("default", "tick");
    const before = service.host.calls;
    const scrapes = await finished(service, Promise.all([1, 2, 3].map(() => linesOf(service))));
    expect(service.host.calls - before).toBe(1);
    for (const lines of scrapes) {
      expect(lines).toContain('edge_sse_events_total{channel="default"} 1');
    }
    await linesOf(service);
    expect(service.host.calls - before).toBe(1);
  });

  it("shows no number older than a second, and current numbers for one channel", async () => {
    const service = new MemoryService();
    await service.publish("default", "tick");
    await linesOf(service);
    await service.publish("default", "tick");
    const two = 'edge_sse_events_total{channel="default"} 2';
    expect(await linesOf(service)).not.toContain(two);
    expect(await linesOf(service, "/metrics?channel=default")).toContain(two);
    await service.host.clock.advance(1_000);
    expect(await linesOf(service)).toContain(two);
  });

  it("counts refusals by the codes that clients see", async () => {
    const service = new MemoryService();
    await service.publish("default", "tick");
    const connecting = service.host.hubs.of("default").connect(
      {
        terms: {},
        start: { lastEventId: null, logName: null, since: null },
        address: null,
        endsAt: 0,
      },
      "anywhere",
    );
    await expect(connecting).rejects.toThrow(HubError);
    const lines = await linesOf(service, "/metrics?channel=default");
    expect(lines).toContain('edge_sse_rejections_total{channel="default",code="unauthorized"} 1');
  });

  it("checks in this order: token, parameters, channel", async () => {
    const config = { auth: { metrics: "token" } };
    const service = new MemoryService({ config, secrets: { METRICS_TOKEN: "metrics" } });
    const token = "metrics";
    expect(await refusalOf(service.send("/metrics?a=1"))).toEqual([401, "unauthorized"]);
    expect(await refusalOf(service.send("/metrics?a=1", { token }))).toEqual([400, "invalid_parameter"]);
    const unknown = service.send("/metrics?channel=nowhere", { token });
    expect(await refusalOf(unknown)).toEqual([404, "unknown_channel"]);
  });
});
