// Charts that can be pointed at and that grow while readings arrive. The server drew the same as SVG; it
// stays in place when anything here is missing, and the table below it is the form for screen readers.

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { colour, onThemeChange } from "./colours";
import { language } from "./clock";
import type { Changes } from "./live";

interface ChartData {
  entity: string;
  attribute: string;
  label: string;
  unit: string;
  zone: string;
  /** What readings are multiplied with before they are shown: 100 for shares told as percent. */
  factor: number;
  /** Seconds between two readings beyond which something is missing; 0 where that cannot be told. */
  gap: number;
  /** Seconds since 1970. */
  times: number[];
  measured: (number | null)[];
  forecast: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
  words: { time: string; measured: string; forecast: string; low: string; high: string };
  /** Whether new readings are added as they come. */
  live: boolean;
}

function draw(figure: HTMLElement, data: ChartData): void {
  const host = document.createElement("div");
  host.className = "chart-live";
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", figure.querySelector("svg title")?.textContent ?? data.label);
  const still = figure.querySelector("svg");
  still?.replaceWith(host);
  host.append(still ?? "");
  if (still) still.setAttribute("hidden", "");

  const number = new Intl.NumberFormat(language, { maximumFractionDigits: 2 });
  const shown = (_: uPlot, value: number | null): string =>
    value === null || value === undefined ? "–" : `${number.format(value)}${data.unit ? " " + data.unit : ""}`;
  const clock = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", timeZone: data.zone });
  const forecasts = data.forecast.some((value) => value !== null);
  let plot: uPlot | null = null;

  const options = (): uPlot.Options => {
    const axis: uPlot.Axis = {
      stroke: colour("ink-2"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { stroke: colour("line"), width: 1 },
      font: "12px system-ui, sans-serif",
    };
    const series: uPlot.Series[] = [
      { label: data.words.time, value: (_, at) => (at === null ? "–" : clock.format(at * 1000)) },
      { label: data.unit ? `${data.words.measured} (${data.unit})` : data.words.measured, stroke: colour("accent"), width: 2, value: shown, spanGaps: false },
    ];
    const bands: uPlot.Band[] = [];
    if (forecasts) {
      series.push(
        { label: data.words.forecast, stroke: colour("info"), width: 2, dash: [6, 4], value: shown },
        { label: data.words.low, stroke: "transparent", value: shown },
        { label: data.words.high, stroke: "transparent", value: shown },
      );
      bands.push({ series: [4, 3], fill: colour("info-soft") });
    }
    return {
      width: host.clientWidth || 600,
      height: 240,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), data.zone),
      series,
      bands,
      axes: [{ ...axis, values: timeLabels(data) }, { ...axis, values: (_, splits) => splits.map((value) => number.format(value)) }],
      cursor: { drag: { x: true, y: false } },
      legend: { live: true },
    };
  };
  const columns = (): uPlot.AlignedData =>
    forecasts
      ? [data.times, measuredOf(data), ...[data.forecast, data.low, data.high].map((column) => connected(column))]
      : [data.times, data.measured];
  const again = (): void => {
    plot?.destroy();
    plot = new uPlot(options(), columns(), host);
  };
  again();
  onThemeChange(again);
  new ResizeObserver(() => plot?.setSize({ width: host.clientWidth, height: 240 })).observe(host);

  if (!data.live) return;
  document.addEventListener("city:changes", (event) => {
    const changes = (event as CustomEvent<Changes>).detail;
    for (const item of changes.items) {
      const value = item.id === data.entity ? item.values?.[data.attribute] : undefined;
      if (!value || !value.at) continue;
      const number = value.number === null ? null : value.number * data.factor;
      if (insert(data, Date.parse(value.at) / 1000, number)) plot?.setData(columns());
    }
  });
}

// The readings and the estimates share one axis of times. Where a column has nothing to say the line goes on
// (undefined); where a reading is missing it breaks (null).

function measuredOf(data: ChartData): (number | null | undefined)[] {
  return data.measured.map((value, row) => (value === null && data.forecast[row] !== null ? undefined : value));
}

function connected(column: (number | null)[]): (number | undefined)[] {
  return column.map((value) => value ?? undefined);
}

/** Puts a reading where its time belongs, and a gap before it if it comes late. Returns whether anything changed. */
function insert(data: ChartData, at: number, value: number | null): boolean {
  let row = data.times.length - 1;
  while (row >= 0 && (data.measured[row] ?? null) === null) row -= 1;
  const last = data.times[row];
  if (last !== undefined && data.gap > 0 && at - last > data.gap) place(data, at - 0.001, null);
  return place(data, at, value);
}

function place(data: ChartData, at: number, value: number | null): boolean {
  let row = data.times.length;
  while (row > 0 && (data.times[row - 1] ?? 0) > at) row -= 1;
  if (data.times[row - 1] === at) {
    if (data.measured[row - 1] === value) return false;
    data.measured[row - 1] = value;
    return true;
  }
  data.times.splice(row, 0, at);
  data.measured.splice(row, 0, value);
  for (const column of [data.forecast, data.low, data.high]) column.splice(row, 0, null);
  return true;
}

/** Day names at midnight, else hours and minutes, in the city's zone. */
function timeLabels(data: ChartData): uPlot.Axis.DynamicValues {
  const hours = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", timeZone: data.zone });
  const days = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: data.zone });
  return (_, splits) => {
    const span = (splits.at(-1) ?? 0) - (splits[0] ?? 0);
    return splits.map((at) => (span > 2 * 86_400 ? days : hours).format(at * 1000));
  };
}

for (const figure of document.querySelectorAll<HTMLElement>("figure.chart")) {
  const block = figure.querySelector<HTMLScriptElement>("script[type='application/json']");
  if (block?.textContent) draw(figure, JSON.parse(block.textContent) as ChartData);
}
