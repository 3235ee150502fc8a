// oxlint-disable-next-line import/no-unassigned-import -- it must run before uPlot
import "./locale.ts";

import uPlot from "uplot";

import { byId, setText } from "./dom.ts";
import { formatCount } from "./format.ts";
import { CHART_SECONDS, type Traffic } from "./traffic.ts";

const HEIGHT = 168;

/** Draws events per second as bars, and clients as a line with its own axis. */
export class Chart {
  readonly #traffic: Traffic;
  readonly #place = byId("chart", HTMLDivElement);
  readonly #events = byId("chart-events", HTMLElement);
  readonly #clients = byId("chart-clients", HTMLElement);
  readonly #when = byId("chart-when", HTMLSpanElement);
  readonly #plot: uPlot;
  #pointed: number | null = null;

  constructor(traffic: Traffic) {
    this.#traffic = traffic;
    this.#plot = new uPlot(this.#options(), this.#series(), this.#place);
    new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0) {
        this.#plot.setSize({ width: Math.floor(entry.contentRect.width), height: HEIGHT });
      }
    }).observe(this.#place);
    // The colours come from the style sheet, which follows the colour scheme.
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
    this.#tell();
  }

  draw(): void {
    this.#plot.setData(this.#series());
    this.#tell();
  }

  #series(): uPlot.AlignedData {
    return [this.#traffic.times, this.#traffic.events, this.#traffic.clients];
  }

  #options(): uPlot.Options {
    return {
      width: Math.max(200, Math.floor(this.#place.clientWidth)),
      height: HEIGHT,
      padding: [10, 0, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: {
        x: { time: false },
        events: { range: (_, __, max) => [0, Math.max(5, (max ?? 0) * 1.15)] },
        clients: { range: (_, __, max) => [0, Math.max(4, (max ?? 0) * 1.4)] },
      },
      series: [
        {},
        {
          scale: "events",
          stroke: () => colour("--chart-events"),
          fill: () => colour("--chart-fill"),
          width: 1,
          ...(uPlot.paths.bars && { paths: uPlot.paths.bars({ size: [0.72, 12], radius: 0.2 }) }),
          points: { show: false },
        },
        {
          scale: "clients",
          stroke: () => colour("--chart-clients"),
          width: 1.5,
          dash: [4, 3],
          ...(uPlot.paths.stepped && { paths: uPlot.paths.stepped({ align: 1 }) }),
          points: { show: false },
        },
      ],
      axes: [
        axis({
          size: 24,
          space: 60,
          grid: { show: false },
          splits: (plot) => {
            const end = plot.scales["x"]?.max ?? 0;
            const step = plot.width < 520 ? 60 : 30;
            return Array.from({ length: CHART_SECONDS / step }, (_, n) => end - n * step).toReversed();
          },
          values: (plot, splits) => splits.map((second) => ago((plot.scales["x"]?.max ?? 0) - second)),
        }),
        axis({ scale: "events", size: 40, values: whole }),
        axis({ scale: "clients", side: 1, size: 36, values: whole, grid: { show: false } }),
      ],
      hooks: {
        setCursor: [
          (plot) => {
            this.#pointed = plot.cursor.idx ?? null;
            this.#tell();
          },
        ],
      },
    };
  }

  /** Shows the values at the pointer, or else the latest ones. */
  #tell(): void {
    const { times, events, clients } = this.#traffic;
    const index = this.#pointed ?? times.length - 1;
    setText(this.#events, formatCount(events[index] ?? 0));
    setText(this.#clients, formatCount(clients[index] ?? 0));
    setText(this.#when, this.#pointed === null ? "" : ago(times.length - 1 - index));
    if (this.#pointed === null) {
      const peak = Math.max(0, ...events.map((count) => count ?? 0));
      this.#place.ariaLabel = `Events per second and clients in the last ${CHART_SECONDS / 60} minutes: at most ${peak} events per second, now ${clients.at(-1) ?? 0} clients`;
    }
  }
}

function ago(seconds: number): string {
  return seconds <= 0 ? "now" : `${seconds} s ago`;
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name);
}

function axis(options: uPlot.Axis): uPlot.Axis {
  return {
    stroke: () => colour("--muted"),
    font: "11px system-ui, sans-serif",
    ticks: { show: false },
    grid: { stroke: () => colour("--line"), width: 1 },
    ...options,
  };
}

function whole(_: uPlot, splits: number[]): string[] {
  return splits.map((value) => (Number.isInteger(value) ? formatCount(value) : ""));
}
