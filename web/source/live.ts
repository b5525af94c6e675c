// The stream of changes (server-sent events). It begins where the page was made: what changes while scripts
// are fetched is told too. A hidden tab lets go of its connection, and goes on from there when it is looked at.

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

/** Milliseconds until a stream that was turned away is asked for again; some more for each, so that not all
 * pages come at once. */
const TURNED_AWAY = 3000;

/** Follows `address` as long as the page is looked at, from what the page shows on: its `position`. */
export function follow(address: string, position: string, listener: Listener): void {
  let source: EventSource | null = null;
  let again = 0;

  const open = (): void => {
    const from = `${address.includes("?") ? "&" : "?"}after=${encodeURIComponent(position)}`;
    const opened = new EventSource(address + from);
    source = opened;
    opened.addEventListener("changes", (event) => {
      position = event.lastEventId || position;
      listener.changed?.(JSON.parse(event.data) as Changes);
    });
    opened.addEventListener("clock", (event) => listener.clock?.(JSON.parse(event.data) as CityClock));
    opened.addEventListener("missed", (event) => {
      position = event.lastEventId || position;
      listener.missed?.();
    });
    opened.addEventListener("error", () => {
      // A lost line is taken up by the browser itself; after an answer such as 503 it never asks again.
      if (opened !== source || opened.readyState !== EventSource.CLOSED) return;
      close();
      again = window.setTimeout(look, TURNED_AWAY * (1 + Math.random()));
    });
  };
  const close = (): void => {
    clearTimeout(again);
    source?.close();
    source = null;
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
