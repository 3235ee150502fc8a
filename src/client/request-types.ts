/**
 * A bearer token, or what gets one: asked anew before each connect. `refresh` is true when the last one was refused or
 * is about to expire, so that one from a cache will not do. What it throws is a failed attempt, which is repeated.
 */
export type Token =
  | string
  | ((refresh: boolean) => string | null | undefined | Promise<string | null | undefined>);

/** The part of `fetch` that is needed. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>;

/** One id of a project or an agent. Numbers are compared as their decimal text. */
export type Id = string | number;
