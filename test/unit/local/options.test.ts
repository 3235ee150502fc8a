import { resolve } from "node:path";

import { describe, expect, it } from "vitest";

import { LaunchError } from "../../../src/local/launch-error.ts";
import { readOptions } from "../../../src/local/options.ts";

const HOST = { command: "npm start", dataFolder: ".data", hasProcesses: false } as const;
const DENO = { command: "npm run serve", dataFolder: ".data-deno", hasProcesses: true } as const;

const readServe = (...args: string[]) => readOptions(DENO, args, {}, "/project");
const read = (args: string[] = [], env: NodeJS.ProcessEnv = {}) => readOptions(HOST, args, env, "/project");

describe("the options of npm start", () => {
  it("have defaults, with files in the project's folder", () => {
    expect(read()).toEqual({
      host: "127.0.0.1",
      port: 8787,
      configFile: "/project/config.yaml",
      dataFolder: "/project/.data",
      devVarsFile: "/project/.dev.vars",
      processes: 1,
    });
  });

  it("come from the environment", () => {
    const env = { PORT: "0", HOST: "::1", EDGE_SSE_DEV_VARS: "/secrets" };
    expect(read([], env)).toMatchObject({ host: "::1", port: 0, devVarsFile: "/secrets" });
  });

  it("come first from the command line, with files relative to the working directory", () => {
    const args = ["--port", "81", "--host=localhost", "--config", "c.yaml", "--data-dir=d"];
    expect(read(args, { PORT: "80", HOST: "::1" })).toMatchObject({
      host: "localhost",
      port: 81,
      configFile: resolve("c.yaml"),
      dataFolder: resolve("d"),
    });
  });

  it("ignore an empty variable", () => {
    expect(read([], { PORT: "", HOST: "" })).toMatchObject({ host: "127.0.0.1", port: 8787 });
  });

  it("take an IPv6 address with the brackets of a URL, too", () => {
    expect(read(["--host", "[::1]"])).toMatchObject({ host: "::1" });
  });

  it("can be asked for", () => {
    expect(read(["--help"])).toBe("help");
  });

  it.each([
    [["--port", "abc"], "the port must be a number from 0 to 65535"],
    [["--port", "65536"], "the port must be a number from 0 to 65535"],
    [["--port", "-1"], "--port"],
    [["--port=1e3"], "the port must be a number from 0 to 65535"],
    [["--port="], "the port must be a number from 0 to 65535"],
    [["--port"], "--port"],
    [["--prot", "1"], "--prot"],
    [["8080"], "8080"],
    [["--host", "a b"], "the host must be a name or an address"],
    [["--host="], "the host must be a name or an address"],
    [["--config="], "--config needs a path"],
    [["--data-dir="], "--data-dir needs a path"],
  ])("that are wrong are named: %j", (args, message) => {
    expect(() => read(args)).toThrow(LaunchError);
    expect(() => read(args)).toThrow(message);
  });

  it("are named if they are wrong in the environment, too", () => {
    expect(() => read([], { PORT: "http" })).toThrow('got "http"');
  });
});

describe("the options of npm run serve", () => {
  it("have a data folder of their own", () => {
    expect(readServe()).toMatchObject({ port: 8787, dataFolder: "/project/.data-deno" });
  });

  it("take a number of processes", () => {
    expect(readServe()).toMatchObject({ processes: 1 });
    expect(readServe("--processes", "1")).toMatchObject({ port: 8787, processes: 1 });
    expect(readServe("--processes=50")).toMatchObject({ processes: 50 });
  });

  it.each(["0", "-1", "51", "100", "1.5", "1e1", "two", ""])(
    "say what is wrong with %j processes",
    (processes) => {
      const message = `must be a number from 1 to 50, got ${JSON.stringify(processes)}`;
      expect(() => readServe(`--processes=${processes}`)).toThrow(message);
    },
  );
});

describe("the number of processes", () => {
  it("is no option of npm start", () => {
    expect(() => read(["--processes", "1"])).toThrow(
      /npm start has no option --processes[^]*Usage: npm start/,
    );
  });
});
