import { describe, expect, it } from "vitest";

import { RESERVED_NAMES } from "../../../../src/config/reserved-names.ts";
import { MemoryService, refusalOf } from "../../../support/service/memory-service.ts";

const config = { filters: { fields: ["tenant_id", "room"] } };

/** The names that a route knows, from its refusal of an unknown one. */
async function knownTo(response: Promise<Response>): Promise<readonly string[]> {
  const { errors } = (await (await response).json()) as { errors: { detail: string }[] };
  const [, names = ""] = /Expected one of ([\w, ]+)\./.exec(errors[0]?.detail ?? "") ?? [];
  return names.split(", ").filter((name) => !config.filters.fields.includes(name));
}

describe("GET /api/filters", () => {
  it("names the fields of the deployment, also where streams are guarded", async () => {
    const service = new MemoryService({ config: { ...config, auth: { subscribe: "token" } } });
    const response = await service.send("/api/filters");
    expect(await response.json()).toEqual({ fields: ["tenant_id", "room"] });
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(await refusalOf(service.send("/api/filters?x=1"))).toEqual([400, "invalid_parameter"]);
    expect(await refusalOf(service.send("/api/filters", { method: "POST" }))).toEqual([
      405,
      "method_not_allowed",
    ]);
  });
});

describe("the names that no field may have", () => {
  it("include every parameter of the stream and the history, and every member of an event", async () => {
    const service = new MemoryService({ config });
    const body = { type: "tick", data: 1, unknown: 1 };
    const known = [
      ...(await knownTo(service.send("/api/events?unknown=1"))),
      ...(await knownTo(service.send("/api/history?unknown=1"))),
      ...(await knownTo(service.send("/api/publish", { method: "POST", token: "publish", body }))),
    ];
    expect(known).toEqual(expect.arrayContaining(["caught_up", "after", "text"]));
    expect(known.filter((name) => !RESERVED_NAMES.has(name))).toEqual([]);
  });

  it("include every member of a stored event", async () => {
    const service = new MemoryService({ config });
    await service.publish("default", "tick");
    const { events } = (await (await service.send("/api/history")).json()) as { events: object[] };
    const members = Object.keys(events[0] ?? {});
    expect(members).toContain("published_at");
    expect(members.filter((name) => !RESERVED_NAMES.has(name))).toEqual([]);
  });
});
