import type { Environment } from "./environment.ts";

export interface VisibilityPort {
  /** The page has been hidden for long, or is being left. */
  onPause(): void;
  /** It is there again after a pause. */
  onResume(): void;
  /** It was hidden, but not for long. */
  onShow(): void;
}

/**
 * Watches whether somebody can see the page; the answer ends that. A page that is left (for another one, or into the
 * back/forward cache) pauses at once: the service learns it now rather than by a heartbeat.
 *
 * @param pauseAfterMs how long a page may be hidden; undefined: for ever
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
