import { describe, expect, it, vi } from "vitest";

import { onListed } from "../../src/service/all-channels.ts";
import { createLogger } from "../../src/service/logger.ts";
import { hubPortOf, newChannel, publish, tick } from "./service.ts";

describe("An order to all channels", () => {
  it("reaches the others if one channel cannot be reached, and is reported as failed", async () => {
    const [good, broken] = [newChannel(), newChannel()];
    await publish(good, tick(1));
    await publish(broken, tick(1));
    const pages = async (after = ""): Promise<string[]> =>
      [good, broken]
        .filter((name) => name > after)
        .toSorted()
        .slice(0, 1);
    const done = new Set<string>();
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    const acting = onListed(
      { hubs: { of: hubPortOf }, logger: createLogger("error") },
      pages,
      async (_hub, channel) => {
        if (channel === broken) {
          throw new Error("the object is gone");
        }
        done.add(channel);
      },
    );
    await expect(acting).rejects.toMatchObject({
      code: "hub_unreachable",
      message: expect.stringMatching(/^1 of 2 channels/),
    });
    expect(String(log.mock.lastCall?.[0])).toContain(broken);
    log.mockRestore();
    expect(done).toContain(good);
    expect(done).not.toContain(broken);
  });
});
