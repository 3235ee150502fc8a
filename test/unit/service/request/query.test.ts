import { describe, expect, it } from "vitest";

import { isFieldValue, Query } from "../../../../src/service/request/query.ts";
import { Problem } from "../../../../src/service/response/problem.ts";

const NOW = Date.UTC(2026, 0, 29, 10);

const STREAM = [
  "types",
  "project_id",
  "agent_id",
  "channel",
  "last_event_id",
  "lastEventId",
  "since",
  "log",
  "on_busy",
];

const FIELDS = ["project_id", "agent_id"];

function query(search: string): Query {
  return new Query(new URLSearchParams(search), STREAM);
}

/** Reads all parameters of a query. Returns the invalid ones. */
function wrongIn(search: string): string[] {
  const read = query(search);
  read.channel();
  read.filter(FIELDS);
  read.start(null, NOW);
  read.streamsWhenBusy();
  return wrongOf(read);
}

function wrongOf(read: Query): string[] {
  try {
    read.finish();
  } catch (error) {
    if (error instanceof Problem && error.code === "invalid_parameter" && read.hasMistakes) {
      return error.errors.map(({ field }) => String(field));
    }
    throw error;
  }
  return read.hasMistakes ? ["a mistake that was not thrown"] : [];
}

function integerOf(search: string): [number | null, string[]] {
  const read = new Query(new URLSearchParams(search), ["limit"]);
  return [read.integer("limit", 1, 1_000), wrongOf(read)];
}

function filterOf(search: string): object {
  return query(search).filter(FIELDS);
}

function startOf(search: string, header: string | null = null): object {
  return query(search).start(header, NOW);
}

function historyOf(search: string): object {
  return new Query(new URLSearchParams(search), ["after", "since", "log"]).historyStart(NOW);
}

/** A list of a number of entries. */
function listOf(count: number): string {
  return Array.from({ length: count }, (_, index) => `x${index}`).join(",");
}

describe("a query", () => {
  it("without parameters asks for all live events of the default channel", () => {
    const read = query("");
    expect(read.channel()).toBe("default");
    expect(read.filter(FIELDS)).toEqual({});
    expect(read.start(null, NOW)).toEqual({ lastEventId: null, logName: null, since: null });
    expect(read.streamsWhenBusy()).toBe(false);
    expect(wrongOf(read)).toEqual([]);
  });

  it("is refused with all unknown and all invalid parameters at once", () => {
    expect(wrongIn("typo=1&channel=A&since=x&project_id=&agent_id=,&types=a,,b&on_busy=1&Types=a")).toEqual([
      "typo",
      "Types",
      "channel",
      "types",
      "project_id",
      "agent_id",
      "since",
      "on_busy",
    ]);
  });

  it("is refused with at most 100 unknown parameters, each once and cut to 64 characters", () => {
    expect(wrongIn("x=1&x=2")).toEqual(["x"]);
    expect(wrongIn(`${"x".repeat(10_000)}=1`)).toEqual(["x".repeat(64)]);
    expect(wrongIn(Array.from({ length: 500 }, (_, index) => `x${index}=1`).join("&"))).toHaveLength(100);
  });

  it.each(["__proto__=1", "constructor=1", "toString=1", "=1"])(
    "refuses the unknown parameter %s",
    (search) => {
      expect(wrongIn(search)).toHaveLength(1);
    },
  );

  it("accepts channel, since and on_busy only once", () => {
    expect(wrongIn("channel=a&channel=b&since=1h&since=2h&on_busy=stream&on_busy=stream")).toEqual([
      "channel",
      "since",
      "on_busy",
    ]);
  });

  it("does not read an empty channel as the default channel", () => {
    expect(wrongIn("channel=")).toEqual(["channel"]);
  });

  it("reads a whole number within its bounds", () => {
    expect([integerOf(""), integerOf("limit=1"), integerOf("limit=1000"), integerOf("limit=0100")]).toEqual([
      [null, []],
      [1, []],
      [1_000, []],
      [100, []],
    ]);
    for (const text of [
      "0",
      "1001",
      "-1",
      "+1",
      "1.0",
      "1e2",
      "0x1",
      "",
      " 1",
      "x",
      "99999999999999999999",
    ]) {
      expect(integerOf(`limit=${encodeURIComponent(text)}`)).toEqual([null, ["limit"]]);
    }
  });
});

describe("the filter of a query", () => {
  it("is a list separated by commas; a repeated parameter continues the list", () => {
    expect(filterOf("types=a,b*&project_id=1,2&agent_id=3")).toEqual({
      types: ["a", "b*"],
      fields: { project_id: ["1", "2"], agent_id: ["3"] },
    });
    expect(filterOf("types=a&types=b*,c&project_id=1&project_id=2")).toEqual({
      types: ["a", "b*", "c"],
      fields: { project_id: ["1", "2"] },
    });
  });

  it("covers all types if it is `*` or empty", () => {
    expect(filterOf("types=")).toEqual({});
    expect(filterOf("types")).toEqual({});
    expect(filterOf("types=*")).toEqual({ types: ["*"] });
    expect(wrongIn("types=")).toEqual([]);
  });

  it.each([
    "types=a,",
    "types=,a",
    "types=,",
    "types=a,,b",
    "types=a&types=",
    "types=&types=a",
    "types=**",
    "types=a*b",
    "types=*a",
    "types=a%20b",
    "types=-a",
    "types=a%0A",
    `types=${"a".repeat(65)}`,
    `types=${"a".repeat(65)}*`,
  ])("is refused if it is malformed: %s", (search) => {
    expect(wrongIn(search)).toEqual(["types"]);
  });

  it.each(["connected", "gap", "heartbeat*", `${"a".repeat(64)}*`])("accepts %s", (type) => {
    expect(wrongIn(`types=${type}`)).toEqual([]);
  });

  it.each(["", ",", "1,", "1%0A", "1%00", "1%7F", "1%C2%85", "x".repeat(129)])(
    "refuses impossible ids: %j",
    (ids) => {
      expect(wrongIn(`project_id=${ids}`)).toEqual(["project_id"]);
      expect(wrongIn(`agent_id=${ids}`)).toEqual(["agent_id"]);
    },
  );

  it("accepts up to 100 entries in each list", () => {
    expect(wrongIn(`types=${listOf(100)}&project_id=${listOf(100)}&agent_id=${listOf(100)}`)).toEqual([]);
    expect(wrongIn(`types=${listOf(101)}`)).toEqual(["types"]);
    expect(wrongIn(`project_id=${listOf(50)}&project_id=${listOf(51)}`)).toEqual(["project_id"]);
    expect(wrongIn(`agent_id=${"x,".repeat(100_000)}x`)).toEqual(["agent_id"]);
  });
});

describe("the start of a query", () => {
  it("is the id in the header, else in last_event_id, else in lastEventId", () => {
    expect(startOf("last_event_id=2&lastEventId=3", "1")).toMatchObject({ lastEventId: "1" });
    expect(startOf("last_event_id=2&lastEventId=3")).toMatchObject({ lastEventId: "2" });
    expect(startOf("lastEventId=3")).toMatchObject({ lastEventId: "3" });
  });

  it("ignores an empty id", () => {
    expect(startOf("last_event_id=&lastEventId=3", "")).toMatchObject({ lastEventId: "3" });
    expect(startOf("last_event_id=", "")).toMatchObject({ lastEventId: null });
  });

  it("accepts any id, because the stream reports a bad one as a gap", () => {
    for (const id of ["x", "-1", "9".repeat(10_000), "%0A", "1,2"]) {
      expect(wrongIn(`last_event_id=${id}`)).toEqual([]);
    }
  });

  it("is a duration, a time or earliest in since", () => {
    expect(startOf("since=earliest")).toMatchObject({ since: "earliest" });
    expect(startOf("since=10m")).toMatchObject({ since: NOW - 600_000 });
    expect(startOf("since=2026-01-29T09:00:00%2B01:00")).toMatchObject({ since: Date.UTC(2026, 0, 29, 8) });
    expect(startOf("since=2026-01-29T09:00:00+01:00")).toMatchObject({ since: Date.UTC(2026, 0, 29, 8) });
  });

  it.each(["", "latest", "Earliest", "0s", "2026-01-29"])("refuses since=%j", (since) => {
    expect(wrongIn(`since=${since}`)).toEqual(["since"]);
  });

  it("includes the name of the log, unless it is empty", () => {
    expect(startOf("log=abc")).toMatchObject({ logName: "abc" });
    expect(startOf("log=")).toMatchObject({ logName: null });
  });

  it("includes on_busy=stream", () => {
    expect(query("on_busy=stream").streamsWhenBusy()).toBe(true);
    expect(wrongIn("on_busy=")).toEqual(["on_busy"]);
    expect(wrongIn("on_busy=Stream")).toEqual(["on_busy"]);
  });

  it("of the history is the oldest event by default", () => {
    expect(historyOf("")).toEqual({ lastEventId: null, logName: null, since: "oldest" });
    expect(historyOf("after=5&log=x")).toEqual({ lastEventId: "5", logName: "x", since: "oldest" });
    expect(historyOf("since=1h")).toMatchObject({ lastEventId: null, since: NOW - 3_600_000 });
  });
});

describe("an id of a project or an agent", () => {
  it.each(["0", "a b", "ä😀", "x".repeat(128), "\"'<>&;*/\\"])("may be %j", (text) => {
    expect(isFieldValue(text)).toBe(true);
  });

  it.each(["", "a,b", "\u0000", "a\nb", "\u007f", "\u0085", "x".repeat(129), "\ud800"])(
    "may not be %j",
    (text) => {
      expect(isFieldValue(text)).toBe(false);
    },
  );
});
