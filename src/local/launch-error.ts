/** The reason why the service cannot start, written for the person who started it. */
export class LaunchError extends Error {}
