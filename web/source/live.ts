// The stream of changes (server-sent events). A hidden tab lets go of its connection; when it is looked at
// again, it asks for the whole picture and goes on from there.

/** One Entity as the stream tells it. Texts are in the reader's language, with their units. */
export interface Item {
  id: string;
  type: string;
  name: string;
  level: string;
  state: string;
  text: string;
  at: string;
  icon: string;
  href: string;
  geometry?: GeoJSON.Geometry;
  values?: Record<string, { number: number | null; text: string; at: string }>;
}

export interface Changes {
  items: Item[];
  gone: string[];
}

export interface CityClock {
  now: string;
  speed: number;
  paused: boolean;
}

export interface Listener {
  changed?(changes: Changes): void;
  clock?(clock: CityClock): void;
  /** Something was missed: fetch the whole again. */
  missed?(): void;
}

/** Follows `address` as long as the page is looked at. */
export function follow(address: string, listener: Listener): void {
  let source: EventSource | null = null;
  let left = false;

  const open = (): void => {
    source = new EventSource(address);
    source.addEventListener("changes", (event) => listener.changed?.(JSON.parse(event.data) as Changes));
    source.addEventListener("clock", (event) => listener.clock?.(JSON.parse(event.data) as CityClock));
    source.addEventListener("missed", () => listener.missed?.());
    if (left) listener.missed?.();
    left = false;
  };
  const close = (): void => {
    source?.close();
    source = null;
    left = true;
  };
  const look = (): void => {
    if (document.hidden) close();
    else if (!source) open();
  };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", close);
  addEventListener("pageshow", look);
  look();
}
