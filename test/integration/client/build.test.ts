import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { gzipSync } from "node:zlib";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { buildClient } from "../../../src/local/build-client.ts";
import { TinyService } from "../../support/tiny-service.ts";

const project = join(import.meta.dirname, "../../..");

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "edge-sse-client-"));
  await buildClient(project, folder);
}, 30_000);

afterAll(async () => {
  await rm(folder, { recursive: true });
});

const read = (name: string): Promise<string> => readFile(join(folder, name), "utf8");

/** Runs a module in a worker thread, and returns the message that it posts. */
function runInWorker(code: string, data: unknown): Promise<unknown> {
  const source = `import { parentPort, workerData } from "node:worker_threads";\n${code}`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
    workerData: data,
  });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("The worker ended without a word.")));
  }).finally(() => worker.terminate());
}

async function typecheck(consumer: string): Promise<string> {
  const file = join(folder, "consumer.mts");
  await writeFile(file, consumer);
  const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom", "--types", ""];
  const tsc = join(project, "node_modules/typescript/bin/tsc");
  try {
    await promisify(execFile)(process.execPath, [
      tsc,
      ...options,
      "--module",
      "nodenext",
      "--ignoreConfig",
      file,
    ]);
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

describe("sse-client.js", () => {
  it("is below 10 KB gzipped", async () => {
    expect(gzipSync(await read("sse-client.js"), { level: 9 }).length).toBeLessThan(10_000);
  });

  it("is one module without imports that names the licences", async () => {
    const text = await read("sse-client.js");
    expect(text).not.toMatch(/\bimport\b/);
    expect(text).toContain("MIT");
    expect(text).toContain("eventsource-parser");
  });

  it("exports the client and its problem, and leaves no globals behind", async () => {
    const answer = await runInWorker(
      `const before = Object.getOwnPropertyNames(globalThis);
       const module = await import(workerData);
       const added = Object.getOwnPropertyNames(globalThis).filter((name) => !before.includes(name));
       parentPort.postMessage({ exports: Object.keys(module), added });`,
      pathToFileURL(join(folder, "sse-client.js")).href,
    );
    expect(answer).toEqual({ exports: ["SSEClient", "SSEProblem"], added: [] });
  });

  it("runs in a worker thread, and resumes there after a kill", async () => {
    const service = new TinyService();
    await service.start();
    const ids = runInWorker(
      `const { SSEClient } = await import(workerData.module);
       const client = new SSEClient({ url: workerData.url });
       const ids = [];
       client.on("tick", (data, { id }) => {
         ids.push(id + ":" + data);
         if (ids.length === 3) {
           client.disconnect();
           parentPort.postMessage(ids);
         }
       });
       client.connect();`,
      { module: pathToFileURL(join(folder, "sse-client.js")).href, url: `${service.url}/api/events` },
    );
    await expect.poll(() => service.streamCount, { timeout: 5_000 }).toBe(1);
    service.publish("tick", "a");
    await expect.poll(() => service.connects.length, { timeout: 5_000 }).toBe(1);
    await service.kill();
    service.publish("tick", "b");
    await service.start();
    await expect.poll(() => service.streamCount, { timeout: 5_000 }).toBe(1);
    service.publish("tick", "c");
    expect(await ids).toEqual(["1:a", "2:b", "3:c"]);
    await service.kill();
  }, 15_000);
});

describe("the types of sse-client.js", () => {
  it("accept a page that uses everything, in strict mode", async () => {
    const mistakes = await typecheck(`
      import { SSEClient, SSEProblem, type ConnectionState, type SSEClientOptions } from "./sse-client.js";
      const options: SSEClientOptions = {
        url: new URL("https://sse.example/api/events"), channel: "board", types: ["turn_*"], projectId: 7,
        agentId: ["a", 1], since: new Date(), lastEventId: "1", log: "l", token: async (refresh) => String(refresh),
        signal: new AbortController().signal, withCredentials: true, fetch, watchdog: false,
        pauseWhenHiddenSeconds: false, shared: true, where: { tenant_id: ["a", 1], user: "b" }, caughtUp: true,
      };
      const client = new SSEClient<{ tick: { n: number }; tock: string }>(options);
      const off: () => void = client.on("tick", (data, event) => console.log(data.n + 1, event.id, event.type));
      client.once("tock", (data) => console.log(data.toUpperCase()));
      client.on("*", (data) => console.log(typeof data === "string" ? data : data.n));
      client.on("caught_up", ({ last_event_id }) => console.log(last_event_id.length));
      client.on("gap", ({ oldest_id }) => console.log(oldest_id?.length));
      client.onStateChange((state: ConnectionState, previous, problem) => console.log(previous, problem?.code));
      client.onError((problem) => console.log(problem instanceof SSEProblem, problem.status, problem.errors[0]?.field));
      client.onRetry(({ delayMs }) => console.log(delayMs + 1));
      client.connect();
      client.disconnect();
      console.log(client.lastEventId.length, client.log?.length, off());
      new SSEClient().on("anything", (data: unknown) => console.log(data));
      // @ts-expect-error -- these events have no such type
      client.on("tack", () => {});
      // @ts-expect-error -- no such option
      new SSEClient({ projectid: 7 });
      // @ts-expect-error -- the environment is internal
      new SSEClient({}, {});
      // @ts-expect-error -- it is read-only
      client.lastEventId = "5";
    `);
    expect(mistakes).toBe("");
  });

  it("and of sse-publisher.js accept a publisher", async () => {
    const mistakes = await typecheck(`
      import { Publisher, type Receipt } from "./sse-publisher.js";
      const publisher = new Publisher({ url: "https://sse.example/api/publish", token: "t", giveUpAfterSeconds: 5 });
      const one: Receipt = await publisher.publish({ type: "tick", data: { n: 1 }, project_id: 7, key: "k" });
      const all: Receipt[] = await publisher.publish([{ type: "tick", data: null }] as const);
      console.log(one.id, all.length);
      await publisher.publish([{ text: "<p>", fields: { tenant_id: "a" } }, { data: 1 }]);
      // @ts-expect-error -- an event needs data or a text
      await publisher.publish({ type: "tick" });
      // @ts-expect-error -- and not both
      await publisher.publish({ data: 1, text: "1" });
      export {};
    `);
    expect(mistakes).toBe("");
  });

  it("are one module without imports and without internal names", async () => {
    for (const name of ["sse-client.d.ts", "sse-publisher.d.ts"]) {
      const text = await read(name);
      expect(text).not.toMatch(/^import /m);
      expect(text).not.toMatch(/@internal|Environment|toProblem/);
    }
  });
});

describe("sse-publisher.js", () => {
  it("publishes from a worker thread", async () => {
    const service = new TinyService();
    await service.start();
    const receipt = await runInWorker(
      `const { Publisher } = await import(workerData.module);
       const publisher = new Publisher({ url: workerData.url, token: "t" });
       parentPort.postMessage(await publisher.publish({ type: "tick", data: 1 }));`,
      { module: pathToFileURL(join(folder, "sse-publisher.js")).href, url: `${service.url}/api/publish` },
    );
    expect(receipt).toEqual({ id: "1", type: "tick", duplicate: false });
    await service.kill();
  });
});

describe("building again", () => {
  it("does not touch a file that stays the same, so that a watcher does not build forever", async () => {
    const file = join(folder, "sse-client.js");
    await utimes(file, 1, 1);
    await buildClient(project, folder);
    expect((await stat(file)).mtimeMs).toBe(1_000);
  });
});
