import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Steps that undo everything at the end, however the run ends. */
export interface Cleanup {
  /** Adds a step. Returns a function that runs the step early. */
  add(step: () => void | Promise<void>): () => Promise<void>;
  /** Runs all remaining steps, the latest first. */
  run(): Promise<void>;
  /** Does the same for good: a step that is added later runs at once. */
  finish(): Promise<void>;
}

export function createCleanup(): Cleanup {
  const steps: (() => Promise<void>)[] = [];
  let finished = false;
  const run = async (): Promise<void> => {
    for (const step of steps.splice(0).toReversed()) {
      await step().catch((error: unknown) => console.error(error));
    }
  };
  return {
    add: (step) => {
      let taken: Promise<void> | undefined;
      const once = (): Promise<void> => (taken ??= (async () => step())());
      steps.push(once);
      if (finished) {
        void run();
      }
      return once;
    },
    run,
    finish: () => {
      finished = true;
      return run();
    },
  };
}

export function makeTemporaryFolder(cleanup: Cleanup): string {
  const folder = mkdtempSync(join(tmpdir(), "edge-sse-bench-"));
  cleanup.add(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}
