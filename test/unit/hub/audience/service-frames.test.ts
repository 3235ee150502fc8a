import { describe, expect, it } from "vitest";

import { HubError } from "../../../../src/hub/errors.ts";
import {
  bareFrames,
  caughtUpFrame,
  closeFrame,
  errorFrame,
  gapFrame,
  heartbeatFrame,
  refusalFrame,
  retryDelayMs,
  type CloseReason,
} from "../../../../src/hub/audience/service-frames.ts";
import { dataOf, decodeStream } from "../../../support/hub/frames.ts";

/** The shortest, the middle and the longest delay. */
function delays(reason: CloseReason): number[] {
  return [0, 0.5, 0.999_999].map((random) => retryDelayMs(reason, 5_000, () => random));
}

/** The reason and the delay in a refusal on a stream. */
function told(error: HubError, random: number): unknown {
  const { events, retries } = decodeStream(refusalFrame(error, null, 5_000, () => random) ?? "");
  const { reason, retry_after_ms: retryAfterMs } = dataOf(events[0]);
  expect([events.length, events[0]?.type, retries]).toEqual([1, "close", [retryAfterMs]]);
  return [reason, retryAfterMs];
}

describe("the service's own frames", () => {
  it("gap carries the id before the oldest kept event", () => {
    expect(gapFrame({ reason: "expired", requestedId: "3", oldest: 7, latest: 10 })).toBe(
      'event: gap\nid: 6\ndata: {"requested_id":"3","oldest_id":"7","latest_id":"10","reason":"expired"}\n\n',
    );
  });

  it("gap carries the head if no event is kept", () => {
    expect(gapFrame({ reason: "unknown", requestedId: "x", oldest: 11, latest: 10 })).toBe(
      'event: gap\nid: 10\ndata: {"requested_id":"x","oldest_id":null,"latest_id":"10","reason":"unknown"}\n\n',
    );
  });

  it("gap of an unused channel carries 0", () => {
    expect(gapFrame({ reason: "unknown", requestedId: "x", oldest: 1, latest: 0 })).toContain("\nid: 0\n");
  });

  it("caught_up carries no id, so that it moves no client", () => {
    expect(caughtUpFrame(57)).toBe('event: caught_up\ndata: {"last_event_id":"57"}\n\n');
  });

  it("are comments on a bare stream, with their ids and delays", () => {
    const gap = gapFrame({ reason: "expired", requestedId: "3", oldest: 7, latest: 10 });
    expect(bareFrames(gap + errorFrame("log_read_failed", "a", true))).toBe(": gap\nid: 6\n\n: error\n\n");
    expect(bareFrames(closeFrame("limit", 5, "57"))).toBe("retry: 5\n: close\nid: 57\n\n");
    expect(bareFrames(heartbeatFrame(57))).toBe(heartbeatFrame(57));
  });

  it("heartbeat is a comment, with an id or without", () => {
    expect(heartbeatFrame(null)).toBe(": heartbeat\n\n");
    expect(heartbeatFrame(57)).toBe(": heartbeat\nid: 57\n\n");
    expect(heartbeatFrame(0)).toBe(": heartbeat\nid: 0\n\n");
  });

  it("error carries no id", () => {
    expect(errorFrame("slow_client", "a\nb", true)).toBe(
      'event: error\ndata: {"error_type":"slow_client","message":"a\\nb","retryable":true}\n\n',
    );
  });

  it("close paces a native EventSource too, and carries no id", () => {
    expect(closeFrame("drain", 7_500)).toBe(
      'retry: 7500\nevent: close\ndata: {"reason":"drain","retry_after_ms":7500}\n\n',
    );
  });
});

describe("a refusal on a stream", () => {
  it.each([
    ["limit", "limit"],
    ["address_limit", "limit"],
    ["rate_limited", "limit"],
    ["draining", "drain"],
    ["shutting_down", "shutdown"],
  ] as const)("maps %s to %s, with a delay of 1 to 2 times retry_after_seconds", (code, reason) => {
    const error = new HubError(code, "No.");
    expect([0, 0.5, 1].map((random) => told(error, random))).toEqual([
      [reason, 5_000],
      [reason, 7_500],
      [reason, 10_000],
    ]);
  });

  it("never gives a delay shorter than the known one, and adds jitter to it", () => {
    const error = new HubError("rate_limited", "No.", { retryAfterSeconds: 60 });
    expect([0, 1].map((random) => told(error, random))).toEqual([
      ["limit", 60_000],
      ["limit", 65_000],
    ]);
    const soon = new HubError("rate_limited", "No.", { retryAfterSeconds: 2 });
    expect(told(soon, 0)).toEqual(["limit", 5_000]);
  });

  it.each(["token_ended", "storage_full", "key_taken", "busy"] as const)(
    "is not used for %s, which the client has to learn as a status",
    (code) => {
      expect(refusalFrame(new HubError(code, "No."), "7", 5_000, () => 0)).toBeNull();
    },
  );
});

describe("a refusal on a stream", () => {
  const limit = new HubError("limit", "No.");

  it("repeats the id that the client asked for, so that it keeps its place", () => {
    expect(refusalFrame(limit, "41", 5_000, () => 0)).toBe(
      'retry: 5000\nevent: close\nid: 41\ndata: {"reason":"limit","retry_after_ms":5000}\n\n',
    );
  });

  it.each([null, "4\n1", "4\u00001", " 41", "é", "7".repeat(65)])(
    "carries no id for %j, which is absent or cannot be repeated",
    (lastEventId) => {
      expect(refusalFrame(limit, lastEventId, 5_000, () => 0)).not.toContain("id:");
    },
  );
});

describe("the delay before the peer of an ended stream comes back", () => {
  it.each(["shutdown", "drain", "limit"] as const)("is 1 to 2 times retry_after_seconds for %s", (reason) => {
    expect(delays(reason)).toEqual([5_000, 7_500, 10_000]);
  });

  it.each(["max_age", "slow_client", "token_expired"] as const)("is 0.1 to 1 s for %s", (reason) => {
    expect(delays(reason)).toEqual([100, 550, 1_000]);
  });

  it("is a whole number, because readers ignore any other retry field", () => {
    for (const reason of ["limit", "max_age", "kicked"] as const) {
      const retryMs = retryDelayMs(reason, 5_000, () => 0.123_456_789);
      const seen = decodeStream(closeFrame(reason, retryMs));
      expect(seen.retries).toEqual([retryMs]);
      expect(dataOf(seen.events[0])["retry_after_ms"]).toBe(retryMs);
    }
  });
});
