/** Why the service cannot be started, in words for the person who tried. */
export class LaunchError extends Error {}
