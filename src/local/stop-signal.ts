export interface StopSignal {
  /** Waits for the first signal that asks to stop. Later signals change nothing. */
  wait(): Promise<NodeJS.Signals>;
}

/**
 * Catches the signals that ask to stop. Until `wait` is called there is nothing to shut down, and a signal ends the
 * process at once. Ctrl-C reaches both npm and this process, and npm passes it on, so two signals are normal.
 */
export function listenForStop(): StopSignal {
  let answer = endAtOnce;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => answer(signal));
  }
  return {
    wait: () =>
      new Promise((resolve) => {
        answer = resolve;
      }),
  };
}

function endAtOnce(_signal: NodeJS.Signals): void {
  process.exit(0);
}
