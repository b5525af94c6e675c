// What the map and the place picker share: MapLibre without tiles, glyphs or anything from outside.

import { Map as LibreMap, NavigationControl, AttributionControl, setWorkerUrl } from "maplibre-gl";
import type { LineLayerSpecification, LngLatBoundsLike, StyleSpecification } from "maplibre-gl";
import "maplibre-gl/dist/maplibre-gl.css";
import { colour } from "./colours";

setWorkerUrl(new URL("./map-worker.js", import.meta.url).href);

export interface Background {
  /** Template of raster tiles, or "" for none. */
  tiles: string;
  attribution: string;
  bounds: [number, number, number, number];
  /** Address of the roads of the data itself, drawn where there are no tiles. */
  roads: string;
  words: Record<string, string>;
}

/** Reads the JSON that the server put into the page. */
export function background(host: HTMLElement): Background {
  return JSON.parse(host.querySelector("script[type='application/json']")?.textContent ?? "{}") as Background;
}

function style(ground: Background): StyleSpecification {
  const sources: StyleSpecification["sources"] = {};
  const layers: StyleSpecification["layers"] = [
    { id: "ground", type: "background", paint: { "background-color": colour("map-ground") } },
  ];
  if (ground.tiles) {
    sources["tiles"] = { type: "raster", tiles: [ground.tiles], tileSize: 256, attribution: ground.attribution };
    layers.push({ id: "tiles", type: "raster", source: "tiles" });
  } else {
    sources["roads"] = { type: "geojson", data: new URL(ground.roads, location.href).href };
    layers.push(roadLayer());
  }
  return { version: 8, sources, layers };
}

function roadLayer(): LineLayerSpecification {
  return {
    id: "roads",
    type: "line",
    source: "roads",
    layout: { "line-cap": "round", "line-join": "round" },
    paint: {
      "line-color": colour("map-road"),
      "line-width": ["interpolate", ["linear"], ["zoom"], 9, 2, 13, 7, 16, 14],
    },
  };
}

/** A map in `host`. It throws where the browser has no WebGL; the drawing by the server then stays. */
export function createMap(host: HTMLElement, ground: Background): LibreMap {
  const box = document.createElement("div");
  box.className = "live-map";
  host.prepend(box);
  try {
    const map = new LibreMap({
      container: box,
      style: style(ground),
      bounds: ground.bounds as LngLatBoundsLike,
      fitBoundsOptions: { padding: 30 },
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      maxZoom: 18,
      locale: ground.words,
      fadeDuration: 0,
    });
    map.touchZoomRotate.disableRotation();
    map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    if (ground.tiles) map.addControl(new AttributionControl({ compact: true }));
    map.getCanvas().setAttribute("aria-label", ground.words["Map.Title"] ?? "");
    return map;
  } catch (error) {
    box.remove();
    throw error;
  }
}
