// The living map: the same list as the table beside it, drawn. State is told by colour and by shape or
// pattern, never by colour alone.

import { Popup, type ExpressionSpecification, type GeoJSONSource, type Map as LibreMap, type MapGeoJSONFeature } from "maplibre-gl";
import * as clock from "./clock";
import { colour, onThemeChange } from "./colours";
import type { Changes, Item } from "./live";
import { background, createMap } from "./mapping";

const LEVELS = ["none", "info", "good", "fair", "poor", "bad"] as const;
type Level = (typeof LEVELS)[number];
const LINES: Record<Level, { width: number; dash?: number[] }> = {
  none: { width: 1.5 },
  info: { width: 2 },
  good: { width: 2 },
  fair: { width: 3, dash: [3, 1] },
  poor: { width: 4, dash: [1.5, 1] },
  bad: { width: 5.5, dash: [0.6, 0.6] },
};
/** Outline of each level's sign on a 16 x 16 field, as in icons.svg. */
const SIGNS: Record<Level, string> = {
  good: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z",
  info: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z",
  none: "M8 1.5a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13z",
  fair: "M2 2h12v12H2z",
  poor: "M8 .2 15.8 14.8H.2z",
  bad: "M8 0l8 8-8 8-8-8z",
};
const SIZE = 60;

interface Properties {
  id: string;
  type: string;
  name: string;
  level: Level;
  state: string;
  text: string;
  at: string;
  icon: string;
  href: string;
  /** What stands beside the sign when there is room. */
  label: string;
}

class CityMap {
  private readonly map: LibreMap;
  private readonly features = new Map<string, GeoJSON.Feature<GeoJSON.Geometry, Properties>>();
  private readonly icons = new Map<string, string>();
  private popup: Popup | null = null;
  private readonly hiddenTypes: Set<string>;
  private pending = false;
  /** What changed while everything was on its way: newer than that, or the same. */
  private late: Changes[] | null = null;

  constructor(private readonly host: HTMLElement) {
    this.hiddenTypes = new Set((host.dataset["hidden"] ?? "").split(" "));
    this.map = createMap(host, background(host));
    this.map.on("style.load", () => void this.ready());
    document.addEventListener("city:changes", (event) => this.changed((event as CustomEvent<Changes>).detail));
    document.addEventListener("city:missed", () => void this.load());
    onThemeChange(() => this.recolour());
    this.filters();
    if (host.clientWidth < 500) host.querySelector(".map-key")?.removeAttribute("open");
  }

  private async ready(): Promise<void> {
    await this.readIcons();
    this.map.addSource("city", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
    this.addLayers();
    this.map.on("render", this.takeOver);
    await this.load();
  }

  /** The drawing by the server stays until the same is drawn here, so that the map is never empty. */
  private readonly takeOver = (): void => {
    if (!this.host.dataset["drawn"] || !this.map.isSourceLoaded("city")) return;
    this.map.off("render", this.takeOver);
    this.host.classList.add("ready");
    this.host.querySelector("svg.plain")?.remove();
  };

  private async readIcons(): Promise<void> {
    const sprite = await fetched(this.host.dataset["icons"] ?? "/static/icons.svg");
    const tree = new DOMParser().parseFromString(await sprite.text(), "image/svg+xml");
    for (const symbol of tree.querySelectorAll("symbol")) this.icons.set(symbol.id, symbol.innerHTML);
    this.map.setMissingStyleImageResolver((id) => this.addSign(id));
  }

  /** Draws the sign "level:icon" when the map first asks for it. */
  private async addSign(id: string): Promise<void> {
    const [level = "none", icon = "dot"] = id.split(":");
    if (!(level in SIGNS) || this.map.hasImage(id)) return;
    const hollow = level === "none";
    const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${SIZE}" height="${SIZE}" viewBox="-1.5 -1.5 19 19">
      <path d="${SIGNS[level as Level]}" fill="${colour(hollow ? "surface" : level)}" stroke="${colour(hollow ? "none" : "surface")}" stroke-width="1.4"/>
      <svg x="4" y="${level === "poor" ? 5.6 : 4}" width="8" height="8" viewBox="0 0 24 24" fill="none" stroke="${colour(hollow ? "none" : "surface")}"
        stroke-width="2.6" stroke-linecap="round" stroke-linejoin="round">${this.icons.get(icon) ?? ""}</svg></svg>`;
    const image = new Image(SIZE, SIZE);
    image.src = `data:image/svg+xml,${encodeURIComponent(drawing)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = SIZE;
    const pen = canvas.getContext("2d");
    if (!pen) return;
    pen.drawImage(image, 0, 0, SIZE, SIZE);
    if (!this.map.hasImage(id)) this.map.addImage(id, pen.getImageData(0, 0, SIZE, SIZE), { pixelRatio: 2 });
  }

  private addLayers(): void {
    for (const level of LEVELS) {
      const line = LINES[level];
      this.map.addLayer({
        id: `line-${level}`,
        type: "line",
        source: "city",
        filter: ["all", ["==", ["geometry-type"], "LineString"], ["==", ["get", "level"], level]],
        layout: { "line-cap": line.dash ? "butt" : "round" },
        paint: {
          "line-color": colour(level),
          "line-width": ["interpolate", ["linear"], ["zoom"], 9, line.width * 0.6, 13, line.width, 16, line.width * 2],
          // The two directions of a road lie side by side.
          "line-offset": ["interpolate", ["linear"], ["zoom"], 9, 1, 13, 2.5, 16, 6],
          ...(line.dash ? { "line-dasharray": line.dash } : {}),
        },
      });
    }
    this.map.addLayer({
      id: "areas",
      type: "fill",
      source: "city",
      filter: ["==", ["geometry-type"], "Polygon"],
      paint: { "fill-color": colour("info"), "fill-opacity": 0.2 },
    });
    this.map.addLayer({
      id: "signs",
      type: "symbol",
      source: "city",
      filter: ["==", ["geometry-type"], "Point"],
      layout: {
        "icon-image": ["concat", ["get", "level"], ":", ["get", "icon"]],
        "icon-allow-overlap": true,
        // From afar what is in order is small, so that what needs attention is seen.
        "icon-size": ["interpolate", ["linear"], ["zoom"], 9, sizes(0.3, 0.7), 12, sizes(0.45, 0.9), 15, 1],
        "symbol-sort-key": ["match", ["get", "level"], "bad", 5, "poor", 4, "fair", 3, "good", 2, 1],
        "text-field": ["step", ["zoom"], "", 14, ["get", "label"]],
        "text-size": 12,
        "text-offset": [0, 1.1],
        "text-anchor": "top",
        "text-optional": true,
      },
      paint: { "text-color": colour("ink"), "text-halo-color": colour("map-ground"), "text-halo-width": 1.5 },
    });
    const clickable = ["signs", "areas", ...LEVELS.map((level) => `line-${level}`)];
    this.map.on("click", (event) => {
      const { x, y } = event.point;
      const box: [[number, number], [number, number]] = [[x - 5, y - 5], [x + 5, y + 5]];
      const found = this.map.queryRenderedFeatures(box, { layers: clickable });
      if (found[0]) this.open(found[0], event.lngLat);
    });
    for (const layer of clickable) {
      this.map.on("mouseenter", layer, () => (this.map.getCanvas().style.cursor = "pointer"));
      this.map.on("mouseleave", layer, () => (this.map.getCanvas().style.cursor = ""));
    }
  }

  private async load(): Promise<void> {
    const late: Changes[] = [];
    this.late = late;
    const answer = await fetched(this.host.dataset["features"] ?? "/map.json");
    const data = (await answer.json()) as { features: GeoJSON.Feature<GeoJSON.Geometry, Properties>[] };
    if (this.late !== late) return;
    this.late = null;
    this.features.clear();
    for (const feature of data.features) this.features.set(feature.properties.id, feature);
    late.forEach((changes) => this.take(changes));
    this.redraw();
  }

  private changed(changes: Changes): void {
    this.late?.push(changes);
    this.take(changes);
    this.redraw();
  }

  private take(changes: Changes): void {
    for (const id of changes.gone) this.features.delete(id);
    for (const item of changes.items) this.put(item);
  }

  private put(item: Item): void {
    const known = this.features.get(item.id);
    const geometry = item.geometry ?? known?.geometry;
    if (!geometry) return;
    const { id, type, name, state, text, at, icon, href } = item;
    const level = item.level as Level;
    this.features.set(id, {
      type: "Feature",
      geometry,
      properties: { id, type, name, level, state, text, at, icon, href, label: text },
    });
  }

  /** At most one redraw a frame, however many readings arrive. */
  private redraw(): void {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => {
      this.pending = false;
      const features = [...this.features.values()].filter((one) => !this.hiddenTypes.has(one.properties.type));
      this.map.getSource<GeoJSONSource>("city")?.setData({ type: "FeatureCollection", features });
      this.host.dataset["drawn"] = String(features.length);
      this.host.dataset["redraws"] = String(Number(this.host.dataset["redraws"] ?? 0) + 1);
    });
  }

  private open(feature: MapGeoJSONFeature, at: { lng: number; lat: number }): void {
    const properties = feature.properties as Properties;
    const box = document.createElement("div");
    box.dataset["item"] = properties.id;
    const heading = document.createElement("h2");
    const link = document.createElement("a");
    link.href = properties.href;
    link.textContent = properties.name;
    heading.append(link);
    const state = document.createElement("p");
    state.append(part("state", properties.state), " · ", part("text", properties.text));
    const seen = document.createElement("p");
    const time = document.createElement("time");
    time.dataset["age"] = "";
    time.dataset["part"] = "at";
    if (properties.at) clock.show(time, properties.at);
    seen.append(time);
    box.append(heading, state, seen);
    this.popup?.remove();
    this.popup = new Popup({ maxWidth: "18rem", focusAfterOpen: true }).setLngLat(at).setDOMContent(box).addTo(this.map);
  }

  /** The check boxes beside the map hide kinds of things at once, without asking the server. */
  private filters(): void {
    for (const box of document.querySelectorAll<HTMLInputElement>("input[data-map-type]")) {
      box.addEventListener("change", () => {
        if (box.checked) this.hiddenTypes.delete(box.value);
        else this.hiddenTypes.add(box.value);
        this.redraw();
      });
      if (!box.checked) this.hiddenTypes.add(box.value);
    }
    for (const row of document.querySelectorAll<HTMLElement>("[data-map-row]")) {
      row.addEventListener("focusin", () => this.point(row.dataset["item"] ?? ""));
    }
  }

  /** Brings what is focused in the list into view on the map. */
  private point(id: string): void {
    const feature = this.features.get(id);
    if (!feature) return;
    const [longitude, latitude] = firstPosition(feature.geometry);
    if (this.map.getBounds().contains([longitude, latitude])) return;
    this.map.easeTo({ center: [longitude, latitude], animate: !matchMedia("(prefers-reduced-motion: reduce)").matches });
  }

  private recolour(): void {
    this.map.setPaintProperty("ground", "background-color", colour("map-ground"));
    if (this.map.getLayer("roads")) this.map.setPaintProperty("roads", "line-color", colour("map-road"));
    for (const level of LEVELS) this.map.setPaintProperty(`line-${level}`, "line-color", colour(level));
    this.map.setPaintProperty("signs", "text-color", colour("ink"));
    this.map.setPaintProperty("signs", "text-halo-color", colour("map-ground"));
    for (const id of this.map.listImages()) this.map.removeImage(id);
    this.redraw();
  }
}

/** The answer from an address, asked for again where the city is too busy or the line is lost. */
async function fetched(address: string): Promise<Response> {
  for (let pause = 1000; ; pause = Math.min(2 * pause, 30_000)) {
    const answer = await fetch(address, { headers: { accept: "application/json" } }).catch(() => null);
    if (answer?.ok) return answer;
    await new Promise((done) => setTimeout(done, pause * (1 + Math.random())));
  }
}

/** The size of a sign: `calm` for what needs nobody, `loud` for what does. */
function sizes(calm: number, loud: number): ExpressionSpecification {
  return ["match", ["get", "level"], ["good", "none"], calm, ["info", "fair"], (calm + loud) / 2, loud];
}

function part(name: string, text: string): HTMLElement {
  const element = document.createElement("span");
  element.dataset["part"] = name;
  element.textContent = text;
  return element;
}

function firstPosition(geometry: GeoJSON.Geometry): [number, number] {
  let place: unknown = geometry.type === "GeometryCollection" ? [0, 0] : geometry.coordinates;
  while (Array.isArray(place) && Array.isArray(place[0])) place = place[0];
  return place as [number, number];
}

for (const host of document.querySelectorAll<HTMLElement>(".map-box[data-features]")) {
  try {
    new CityMap(host);
  } catch {
    host.dataset["still"] = "";
  }
}
