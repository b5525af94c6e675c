// Where a report is about: a point on the map, or where the reader stands. The two number fields below the
// map are the form itself, so everything works without this.

import { Marker } from "maplibre-gl";
import { background, createMap } from "./mapping";

function field(name: string): HTMLInputElement | null {
  return document.querySelector<HTMLInputElement>(`input[name="${name}"]`);
}

function choose(host: HTMLElement): void {
  const latitude = field("latitude");
  const longitude = field("longitude");
  const said = document.getElementById("place-said");
  if (!latitude || !longitude) return;
  const map = createMap(host, background(host));
  host.querySelector("svg.plain")?.remove();
  let marker: Marker | null = null;

  const put = (lng: number, lat: number, move: boolean): void => {
    marker ??= new Marker({ draggable: true, color: getComputedStyle(host).getPropertyValue("accent-color") || "#0a5c57" });
    marker.setLngLat([lng, lat]).addTo(map);
    if (move) map.easeTo({ center: [lng, lat], zoom: Math.max(map.getZoom(), 14) });
  };
  const take = (lng: number, lat: number, move = false): void => {
    longitude.value = lng.toFixed(6);
    latitude.value = lat.toFixed(6);
    put(lng, lat, move);
    if (said) said.textContent = `${said.dataset["chosen"]} ${latitude.value}, ${longitude.value}`;
  };
  map.on("click", (event) => take(event.lngLat.lng, event.lngLat.lat));
  map.on("load", () => (host.dataset["ready"] = ""));
  const typed = (): void => {
    const lng = Number(longitude.value);
    const lat = Number(latitude.value);
    if (longitude.value && latitude.value && Math.abs(lat) <= 90 && Math.abs(lng) <= 180) put(lng, lat, true);
  };
  longitude.addEventListener("change", typed);
  latitude.addEventListener("change", typed);
  typed();

  const here = document.getElementById("here");
  here?.addEventListener("click", () => {
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => take(coords.longitude, coords.latitude, true),
      () => {
        if (said) said.textContent = said.dataset["refused"] ?? "";
      },
      { timeout: 10_000, maximumAge: 60_000 },
    );
  });
}

for (const host of document.querySelectorAll<HTMLElement>(".map-box[data-place]")) {
  try {
    choose(host);
  } catch {
    host.dataset["still"] = "";
  }
}
