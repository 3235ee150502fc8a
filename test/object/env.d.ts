import type { Env as Bindings } from "../../src/edge/env.ts";

declare global {
  namespace Cloudflare {
    /** What `env` from `cloudflare:workers` holds. */
    interface Env extends Bindings {}
    interface GlobalProps {
      mainModule: typeof import("../../src/index.ts");
    }
  }
}
