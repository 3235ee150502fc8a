/**
 * A bearer token, or a function that returns one and is called before each attempt. `refresh` is true if the last
 * token was refused or is about to expire, so a cached token is of no use. If the function throws, the attempt has
 * failed and is repeated. An empty string, `null` or `undefined` sends no token.
 */
export type Token =
  | string
  | ((refresh: boolean) => string | null | undefined | Promise<string | null | undefined>);

/** The part of `fetch` that is used. */
export type FetchLike = (url: string, init: RequestInit) => Promise<Response>;

/** The id of a project or an agent. A number is compared as its decimal text. */
export type Id = string | number;
