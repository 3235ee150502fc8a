import type { Calls } from "./caller.ts";

/** The names of the methods of a port. The type makes sure that none is missing. */
export type MethodNames<Port> = Readonly<Record<keyof Port & string, true>>;

/** A port in another process: each of its methods calls the method of the same name there. */
export function remotePort<Port extends object>(
  calls: Calls,
  methods: MethodNames<Port>,
  port: string,
  of = "",
): Port {
  const entries = Object.keys(methods).map((method) => [
    method,
    (...args: readonly unknown[]) => calls.call({ port, of, method, args: withoutTail(args) }),
  ]);
  return Object.fromEntries(entries) as Port;
}

/** Leaves out absent arguments at the end, which JSON would turn into null. */
function withoutTail(args: readonly unknown[]): readonly unknown[] {
  return args.slice(0, args.findLastIndex((arg) => arg !== undefined) + 1);
}
