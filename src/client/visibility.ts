import type { Environment } from "./environment.ts";

export interface VisibilityPort {
  /** The page has been hidden for `pauseAfterMs`, or the user leaves it. */
  onPause(): void;
  /** The page is visible again after a pause. */
  onResume(): void;
  /** The page is visible again without a pause. */
  onShow(): void;
}

/**
 * Pauses a page that nobody sees. A page that the user leaves, for another page or into the back/forward cache, pauses
 * at once, so that the service does not have to find that out by a heartbeat.
 *
 * @param pauseAfterMs how long a page may be hidden. Undefined: there is no limit
 * @returns a function that stops watching
 */
export function watchVisibility(
  { page, after }: Environment,
  pauseAfterMs: number | undefined,
  { onPause, onResume, onShow }: VisibilityPort,
): () => void {
  let isPaused = false;
  let cancel: (() => void) | undefined;

  const pause = (): void => {
    if (!isPaused) {
      isPaused = true;
      onPause();
    }
  };
  const look = (): void => {
    cancel?.();
    if (page.isHidden()) {
      cancel = pauseAfterMs === undefined ? undefined : after(pauseAfterMs, pause);
    } else if (isPaused) {
      isPaused = false;
      onResume();
    } else {
      onShow();
    }
  };

  const stops = [
    page.listen("visibilitychange", look),
    page.listen("pageshow", look),
    page.listen("pagehide", pause),
    () => cancel?.(),
  ];
  if (page.isHidden()) {
    look();
  }
  return () => {
    for (const stop of stops) {
      stop();
    }
  };
}
