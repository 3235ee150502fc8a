import { describe, expect, it } from "vitest";

import { HubError } from "../../../../src/hub/errors.ts";
import { MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

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

  it("goes on without a hub that cannot be reached, and counts it as not shown", async () => {
    const service = new MemoryService({ config: ANY });
    await service.publish("a", "tick");
    await service.publish("b", "tick");
    service.host.broken.set("a", new Error("gone"));
    const lines = await linesOf(service);
    expect(lines).toContain('edge_sse_events_total{channel="b"} 1');
    expect(lines).toContain("edge_sse_channels_not_shown 1");
  });

  it("counts refusals under the codes that clients are told", async () => {
    const service = new MemoryService();
    await service.publish("default", "tick");
    const connecting = service.host.hubs.of("default").connect({
      terms: {},
      start: { lastEventId: null, logName: null, since: null },
      address: null,
      endsAt: 0,
    });
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
