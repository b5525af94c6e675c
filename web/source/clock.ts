// The city's clock. A replayed city lives in another year and may run faster; ages are told by its time.

import type { CityClock } from "./live";

const body = document.body;
let cityAt = Date.parse(body.dataset["now"] ?? "") || Date.now();
let readAt = performance.now();
let speed = Number(body.dataset["speed"] ?? "1");
const zone = body.dataset["zone"] ?? "UTC";
/** The reader's language for Intl; English dates are written as in Europe, like those of the server. */
export const language = document.documentElement.lang === "en" ? "en-GB" : document.documentElement.lang;

/** The city's time in milliseconds since 1970. */
export function now(): number {
  return cityAt + (performance.now() - readAt) * speed;
}

/** Set by what the server tells. */
export function set(clock: CityClock): void {
  cityAt = Date.parse(clock.now);
  readAt = performance.now();
  speed = clock.paused ? 0 : clock.speed;
}

const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
];

/** How long ago, in words: "3 minutes ago". */
export function age(instant: number): string {
  let amount = (instant - now()) / 1000;
  // A fast city's clock runs ahead of the page by what the network takes: that is no future.
  if (amount > 0 && amount < 5 * Math.max(speed, 1)) amount = 0;
  for (const [unit, size] of STEPS) {
    if (Math.abs(amount) < size) return relative.format(Math.round(amount), unit);
    amount /= size;
  }
  return relative.format(Math.round(amount), "year");
}

const exactFormat = new Intl.DateTimeFormat(language, {
  year: "numeric",
  month: "short",
  day: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  timeZoneName: "short",
  timeZone: zone,
});
// Day and time apart, as the server writes them: languages join the two in ways of their own.
const dayFormat = new Intl.DateTimeFormat(language, {
  weekday: "short",
  day: "numeric",
  month: "short",
  year: "numeric",
  timeZone: zone,
});
const timeFormat = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", timeZone: zone });

/** The instant in the city's time zone. */
export function exact(instant: number): string {
  return exactFormat.format(instant);
}

/** A <time> element shows this instant from now on. */
export function show(element: HTMLTimeElement, instant: string): void {
  element.dateTime = instant;
  tellAge(element);
}

function tellAge(element: HTMLTimeElement): void {
  const instant = Date.parse(element.dateTime);
  if (Number.isNaN(instant)) return;
  const words = age(instant);
  if (element.textContent !== words) element.textContent = words;
  element.title = exact(instant);
}

/** Keeps the banner's clock and every age on the page true. */
export function run(): void {
  const banner = document.querySelector<HTMLTimeElement>("[data-city-clock]");
  const tick = (): void => {
    if (banner) {
      const words = `${dayFormat.format(now())} ${timeFormat.format(now())}`;
      if (banner.textContent !== words) banner.textContent = words;
      banner.dateTime = new Date(now()).toISOString();
    }
    document.querySelectorAll<HTMLTimeElement>("time[data-age]").forEach(tellAge);
  };
  setInterval(tick, 1000);
}
