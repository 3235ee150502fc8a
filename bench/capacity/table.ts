/** A table of a document. The first row is the head. */
export type Table = readonly (readonly string[])[];

/** A table as Markdown. */
export function markdown([head = [], ...rows]: Table): string {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** A number with commas and this many decimals. */
export function count(value: number, decimals = 0): string {
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}

/** A number with about three digits, so that small and large ones fit into one column. */
export function short(value: number): string {
  if (value >= 1_000_000) {
    const millions = value / 1_000_000;
    return `${count(millions, millions >= 10 || Number.isInteger(millions) ? 0 : 1)} million`;
  }
  const decimals = value >= 10 || Number.isInteger(value) ? 0 : value >= 1 ? 1 : 2;
  return count(value, decimals);
}

export function dollars(value: number): string {
  return `$${count(value)}`;
}

export function percent(part: number): string {
  return `${count(part * 100)} %`;
}

export function ms(value: number): string {
  return `${count(value)} ms`;
}

/** A cost in microseconds, or in ms if it is long. */
export function cost(valueMs: number): string {
  return valueMs >= 0.4 ? `${count(valueMs, 2)} ms` : `${short(valueMs * 1_000)} us`;
}
