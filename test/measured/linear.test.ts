import { readFileSync } from "node:fs";
import { join } from "node:path";

import Negotiator from "negotiator";
import { describe, expect, it } from "vitest";

import { bearerToken } from "../../src/auth/bearer.ts";
import { cookieToken, mayUseCookie } from "../../src/auth/cookie.ts";
import { isAllowedOrigin } from "../../src/auth/origin.ts";
import { peerOf } from "../../src/edge/peer.ts";
import { Addresses } from "../../src/service/request/address.ts";
import { isChannelName } from "../../src/service/request/channel-name.ts";
import { hostRefusal } from "../../src/service/access/host-names.ts";
import { parseInstant } from "../../src/service/request/instant.ts";
import { isFieldValue, Query } from "../../src/service/request/query.ts";
import { parseHeadersFile } from "../../src/assets/headers-file.ts";
import { isEventType } from "../../src/sse/event-type.ts";
import { WORST_CHARACTERS } from "../support/worst-characters.ts";

/** Far more than the service accepts: a parser has to be linear by itself, not because of a bound that may change. */
const LENGTH = 64 * 1024;

/** The most that the service accepts. Libraries are fast enough for this length, and promise nothing for more. */
const BOUNDED_LENGTH = 16 * 1024;

const CPU_MS = 50;
const TRIES = 3;

const ORIGINS = ["https://*.example.com", "https://app.example.com"];
const ADDRESSES = new Addresses({ exempt: ["127.0.0.0/8", "::1"], trusted: ["10.0.0.2"] });
const applyHeaders = parseHeadersFile(
  readFileSync(join(import.meta.dirname, "../../public/_headers"), "utf8"),
);

const PARSERS: [name: string, parse: (text: string) => unknown][] = [
  ["the token of a Cookie", (text) => cookieToken(`a${text}a`)],
  ["the token of a Cookie, in it", (text) => cookieToken(`__Host-edge_sse=${text}a`)],
  ["the token of an Authorization", (text) => bearerToken(`Bearer ${text}a`)],
  ["the token of an Authorization, before it", (text) => bearerToken(`Bearer${text}a`)],
  ["an allowed origin", (text) => isAllowedOrigin(`https://${text}.example.com`, ORIGINS)],
  ["an origin with a bad label", (text) => isAllowedOrigin(`https://${text}!.example.com`, ORIGINS)],
  [
    "a cookie's origin",
    (text) =>
      mayUseCookie(
        { method: "GET", headers: new Headers({ Origin: text.replaceAll(/[^ -~]/g, "") }) },
        ORIGINS,
      ),
  ],
  ["a time", (text) => parseInstant(`1${text}`, 0)],
  ["a name of a channel", (text) => isChannelName(`a${text}`)],
  ["a type of an event", (text) => isEventType(`a${text}`)],
  ["an id", (text) => isFieldValue(`a${text}`)],
  ["a host", (text) => hostRefusal(`a${text}`, "http://a/", { allowed: ["*.example.com"] })],
  [
    "an address",
    (text) => {
      const headers = new Headers({ "CF-Connecting-IP": text.replaceAll(/[^!-~]/g, "1") });
      return ADDRESSES.of(peerOf({ headers }, false), null);
    },
  ],
  ["a forwarded address", (text) => ADDRESSES.of("10.0.0.2", text)],
  ["forwarded addresses", (text) => ADDRESSES.of("10.0.0.2", `${text}10.0.0.2`.repeat(20))],
  ["_headers", (text) => applyHeaders(`/${text}`, new Headers())],
];

const BOUNDED: [name: string, parse: (text: string) => unknown][] = [
  [
    "Accept",
    (text) => new Negotiator({ headers: { accept: `a/b${text}` } }).mediaType(["text/event-stream"]),
  ],
  [
    "the lists of a query",
    (text) => {
      const query = new Query(new URLSearchParams({ types: text, project_id: text, agent_id: text }), [
        "types",
      ]);
      return [query.filter(["project_id", "agent_id"]), query.hasMistakes];
    },
  ],
  [
    "the parameters of a query",
    (text) => new Query(new URLSearchParams(text), ["types", "channel"]).hasMistakes,
  ],
];

/** Milliseconds of CPU in the best of several tries: a garbage collection can slow down a single one. */
function cpuOf(work: () => unknown): number {
  const costs: number[] = [];
  for (let attempt = 0; attempt < TRIES && !(Math.min(...costs) <= CPU_MS); attempt++) {
    const before = process.cpuUsage();
    work();
    const { user, system } = process.cpuUsage(before);
    costs.push((user + system) / 1_000);
  }
  return Math.min(...costs);
}

/** The texts whose repetition costs more than the bound. */
function expensive(parse: (text: string) => unknown, length: number): string[] {
  return WORST_CHARACTERS.filter((unit) => {
    const text = unit.repeat(length / unit.length);
    return cpuOf(() => parse(text)) > CPU_MS;
  });
}

describe("the parsers of everything that a client can send", () => {
  it.each(PARSERS)("take linear time for 64 Ki characters of any kind in %s", (_name, parse) => {
    expect(expensive(parse, LENGTH)).toEqual([]);
  });

  it.each(BOUNDED)("take linear time for 16 Ki characters of any kind in %s", (_name, parse) => {
    expect(expensive(parse, BOUNDED_LENGTH)).toEqual([]);
  });
});
