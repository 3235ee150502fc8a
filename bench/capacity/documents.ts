import { capacity, type Capacity } from "./capacity.ts";
import { assumptionTable, measuredTable, priceTable, regionTable } from "./cost-tables.ts";
import {
  billTable,
  limitTable,
  objectTable,
  operatorTable,
  rateTable,
  sensitivityTable,
  sizeTable,
  validationTable,
} from "./result-tables.ts";
import { markdown } from "./table.ts";

/** The documents that contain tables of the simulation. */
export const DOCUMENTS = ["docs/capacity.md", "README.md"] as const;

/** A table in a document, between two comments that name it. */
const PLACE = /(<!-- simulate: ([a-z]+) -->\n)[^]*?(\n<!-- end -->)/g;

/** All tables by name, as Markdown. */
export function tablesOf(result: Capacity = capacity()): ReadonlyMap<string, string> {
  return new Map([
    ["measured", markdown(measuredTable())],
    ["assumed", markdown(assumptionTable())],
    ["regions", markdown(regionTable())],
    ["prices", markdown(priceTable())],
    ["validation", markdown(validationTable(result))],
    ["sizes", markdown(sizeTable(result))],
    ["bill", markdown(billTable(result))],
    ["sensitivity", markdown(sensitivityTable(result))],
    ["rates", markdown(rateTable(result))],
    ["limits", markdown(limitTable(result))],
    ["object", markdown(objectTable())],
    ["operator", markdown(operatorTable())],
  ]);
}

/** A document with the tables of the simulation in their places. */
export function filled(document: string, tables: ReadonlyMap<string, string>): string {
  return document.replaceAll(PLACE, (_place, begin: string, name: string, end: string) => {
    const table = tables.get(name);
    if (table === undefined) {
      throw new Error(`the simulation has no table called ${name}`);
    }
    return `${begin}\n${table}\n${end}`;
  });
}

/** The names of the tables in a document. */
export function namesIn(document: string): string[] {
  return [...document.matchAll(PLACE)].map(([, , name = ""]) => name);
}
