export interface StopSignal {
  /** Waits for the first signal that asks to stop; the ones after it change nothing. */
  wait(): Promise<NodeJS.Signals>;
}

/**
 * Catches the signals that ask to stop. As long as nobody waits for one, there is nothing to stop in good order yet,
 * and the process simply ends. Ctrl-C reaches npm and this process, and npm passes it on: two signals are normal.
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
