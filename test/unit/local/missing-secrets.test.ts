import { describe, expect, it } from "vitest";

import { configSchema } from "../../../src/config/schema.ts";
import { missingSecrets } from "../../../src/local/missing-secrets.ts";

const LONG = "x".repeat(32);
const KEY = { kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" };

/** Metrics are guarded by default where streams are. */
const OPEN = { metrics: "public" };

function missing(auth: object, vars: Record<string, string>): readonly string[] {
  return missingSecrets(configSchema.parse({ auth }).auth, vars).map(
    ({ secret, needed_by }) => `${secret} for ${needed_by.join(", ")}`,
  );
}

describe("the warning of a secret that is missing", () => {
  it.each<[object, Record<string, string>, string[]]>([
    [{}, {}, []],
    // Made up at the first start; an empty one closes its routes on purpose.
    [{ publish: "token", admin: "token" }, { PUBLISH_TOKEN: "", ADMIN_TOKEN: "" }, []],
    [{ subscribe: "token" }, {}, ["SUBSCRIBE_TOKEN for auth.subscribe", "METRICS_TOKEN for auth.metrics"]],
    [{ ...OPEN, subscribe: "token" }, { SUBSCRIBE_TOKEN: " , " }, ["SUBSCRIBE_TOKEN for auth.subscribe"]],
    [{ ...OPEN, subscribe: "token" }, { SUBSCRIBE_TOKEN: "s" }, []],
    [{ metrics: "token" }, { SUBSCRIBE_TOKEN: "s" }, ["METRICS_TOKEN for auth.metrics"]],
    [
      { ...OPEN, subscribe: "jwt", admin: ["token", "jwt"] },
      {},
      ["JWT_SECRET for auth.subscribe, auth.admin"],
    ],
    [{ publish: "jwt" }, { JWT_SECRET: "x".repeat(31) }, ["JWT_SECRET for auth.publish"]],
    [{ publish: "jwt" }, { JWT_SECRET: `short,${LONG}` }, []],
    [{ publish: "jwt", jwt: { algorithm: "EdDSA", jwks: { keys: [KEY] } } }, {}, []],
    [
      { ...OPEN, subscribe: ["token", "jwt"] },
      {},
      ["SUBSCRIBE_TOKEN for auth.subscribe", "JWT_SECRET for auth.subscribe"],
    ],
  ])("for %j with %j is %j", (auth, vars, warnings) => {
    expect(missing(auth, vars)).toEqual(warnings);
  });

  it("names the secret and reveals nothing of its value", () => {
    const { auth } = configSchema.parse({ auth: { subscribe: "jwt" } });
    const text = JSON.stringify(missingSecrets(auth, { JWT_SECRET: "too-short-but-secret" }));
    expect(text).toContain("JWT_SECRET");
    expect(text).not.toContain("too-short");
  });
});
