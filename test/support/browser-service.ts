import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";

import { launchBrowser } from "./browser.ts";
import { makeDataDir, startService, type Service, type ServiceOptions } from "./service.ts";

/** A service and a browser that has seen nothing, anew for each test of a file. */
export interface BrowserService {
  readonly service: Service;
  readonly context: BrowserContext;
  /** Starts a service that was killed again, on the same port and with the same data. */
  restart(): Promise<void>;
}

/** Sets the hooks of the file that calls it. */
export function useBrowserService(config: NonNullable<ServiceOptions["config"]>): BrowserService {
  let browser: Browser;
  let context: BrowserContext;
  let service: Service;
  let folder: Awaited<ReturnType<typeof makeDataDir>>;

  const start = async (port: number): Promise<void> => {
    service = await startService({ config, dataDir: folder.path, port });
  };

  beforeAll(async () => {
    browser = await launchBrowser();
  });

  beforeEach(async () => {
    [context, folder] = await Promise.all([browser.newContext(), makeDataDir()]);
    await start(0);
  });

  afterEach(async () => {
    await context.close();
    await service.stop();
    await folder.remove();
  });

  afterAll(() => browser.close());

  return {
    get service() {
      return service;
    },
    get context() {
      return context;
    },
    restart: () => start(service.port),
  };
}
