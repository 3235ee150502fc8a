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

/** The value of a field, such as the id of a project. A number is compared as its decimal text. */
export type Id = string | number;

/** The values of fields to match, by name. */
export type Where = Readonly<Record<string, Id | readonly Id[] | undefined>>;
