import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What is to be undone at the end, whatever the end is. */
export interface Cleanup {
  /** Adds a step, and answers a function that takes it at once instead. */
  add(step: () => void | Promise<void>): () => Promise<void>;
  /** Takes all steps that are left, the latest first. */
  run(): Promise<void>;
  /** The same for good: a step that is added later is taken at once. */
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
