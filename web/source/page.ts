// What every page gains from JavaScript: ages that tick, values that move, buttons that copy, a menu that
// folds. Without it each of these is a plain page that works.

import * as clock from "./clock";
import { follow, type Changes, type Item } from "./live";

document.documentElement.classList.add("js");

/** The addresses of the streams that parts of this page ask for, joined into one connection. */
function streamAddress(): string | null {
  const wanted = document.querySelector<HTMLElement>("[data-live]")?.dataset["live"];
  return wanted ?? null;
}

function showItem(item: Item): void {
  for (const element of document.querySelectorAll<HTMLElement>(`[data-item="${CSS.escape(item.id)}"]`)) {
    setText(element.querySelector("[data-part=text]"), item.text);
    setText(element.querySelector("[data-part=state]"), item.state);
    const sign = element.querySelector("[data-part=sign]");
    if (sign) {
      sign.setAttribute("class", `sign ${item.level}`);
      const use = sign.querySelector("use");
      const sprite = use?.getAttribute("href")?.split("#")[0];
      use?.setAttribute("href", `${sprite}#sign-${item.level}`);
    }
    const at = element.querySelector<HTMLTimeElement>("time[data-part=at]");
    if (at && item.at) clock.show(at, item.at);
    for (const [name, value] of Object.entries(item.values ?? {})) {
      const row = element.querySelector(`[data-attribute="${CSS.escape(name)}"]`);
      if (!row) continue;
      setText(row.querySelector("[data-part=value]"), value.text);
      const when = row.querySelector<HTMLTimeElement>("time[data-part=value-at]");
      if (when && value.at) clock.show(when, value.at);
    }
  }
}

/** From what needs attention to what does not, as the server sorts. */
const WORST_FIRST = ["bad", "poor", "fair", "good", "info", "none"];

/** Sorts the list beside the map again. The row with the focus or the pointer stays: nobody loses their place. */
function sortRows(): void {
  const rows = [...document.querySelectorAll<HTMLElement>("tr[data-map-row]")];
  const list = rows[0]?.parentElement;
  if (!list) return;
  const held = rows.find((row) => row.matches(":focus-within")) ?? rows.find((row) => row.matches(":hover"));
  const wanted = rows.filter((row) => row !== held).sort((one, other) => urgency(one) - urgency(other));
  if (held) wanted.splice(rows.indexOf(held), 0, held);
  if (wanted.every((row, place) => row === rows[place])) return;
  let isBefore = held !== undefined;
  for (const row of wanted) {
    if (row === held) isBefore = false;
    else list.insertBefore(row, isBefore ? (held ?? null) : null);
  }
}

function urgency(row: HTMLElement): number {
  const sign = row.querySelector("[data-part=sign]");
  return WORST_FIRST.findIndex((level) => sign?.classList.contains(level));
}

function setText(element: Element | null, text: string): void {
  if (!element || element.textContent === text) return;
  element.textContent = text;
  element.classList.remove("flash");
  void (element as HTMLElement).offsetWidth; // restarts the animation
  element.classList.add("flash");
}

/** Others on the page (map, chart) hear of changes through this event on document. */
function announce(changes: Changes): void {
  document.dispatchEvent(new CustomEvent<Changes>("city:changes", { detail: changes }));
}

function followCity(): void {
  const address = streamAddress();
  if (address) {
    follow(address, document.body.dataset["position"] ?? "", {
      changed(changes) {
        changes.items.forEach(showItem);
        sortRows();
        announce(changes);
      },
      clock: clock.set,
      missed() {
        document.dispatchEvent(new CustomEvent("city:missed"));
      },
    });
  } else if (document.querySelector("[data-city-clock]")) {
    setInterval(async () => {
      if (document.hidden) return;
      const answer = await fetch("/clock.json").catch(() => null);
      if (answer?.ok) clock.set(await answer.json());
    }, 20_000);
  }
}

function copyButtons(): void {
  for (const button of document.querySelectorAll<HTMLButtonElement>("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset["copy"] ?? "");
      if (!source) return;
      try {
        await navigator.clipboard.writeText(source.textContent ?? "");
      } catch {
        getSelection()?.selectAllChildren(source);
        return;
      }
      const words = button.querySelector("span") ?? button;
      const before = words.textContent;
      words.textContent = button.dataset["done"] ?? "";
      setTimeout(() => (words.textContent = before), 2000);
    });
  }
}

function foldingMenu(): void {
  const button = document.querySelector<HTMLAnchorElement>(".menu-button");
  const menu = document.getElementById("menu");
  if (!button || !menu) return;
  button.setAttribute("role", "button");
  button.setAttribute("aria-controls", "menu");
  button.setAttribute("aria-expanded", "false");
  const toggle = (event: Event): void => {
    event.preventDefault();
    const open = menu.classList.toggle("open");
    button.setAttribute("aria-expanded", String(open));
  };
  button.addEventListener("click", toggle);
  button.addEventListener("keydown", (event) => {
    if (event.key === " ") toggle(event);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.classList.contains("open")) {
      toggle(event);
      button.focus();
    }
  });
}

/** "/" goes to the search field, as people expect. */
function searchKey(): void {
  addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLElement && event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const field = document.querySelector<HTMLInputElement>("input[type=search]");
    if (!field) return;
    event.preventDefault();
    field.focus();
  });
}

/** Fields that send their form when they change, such as filters; the button stays for those without script. */
function eagerForms(): void {
  for (const form of document.querySelectorAll<HTMLFormElement>("form[data-eager]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }
}

/** Waits for something the server will know soon (the first value of a device), then says so. */
function waitFor(): void {
  for (const element of document.querySelectorAll<HTMLElement>("[data-wait]")) {
    const address = element.dataset["wait"] ?? "";
    const look = async (): Promise<void> => {
      const answer = document.hidden ? null : await fetch(address).catch(() => null);
      const found = answer?.ok ? ((await answer.json()) as { arrived: boolean }) : null;
      if (!found?.arrived) {
        setTimeout(look, 2000);
        return;
      }
      element.querySelector("[data-waiting]")?.setAttribute("hidden", "");
      element.querySelector("[data-arrived]")?.removeAttribute("hidden");
    };
    void look();
  }
}

/** Tells how far a long work is, as it goes on: the bar, and its words, which are read out. Then the page anew. */
function showProgress(): void {
  for (const element of document.querySelectorAll<HTMLElement>("[data-progress]")) {
    const bar = element.querySelector("progress");
    const label = element.querySelector("label");
    const look = async (): Promise<void> => {
      const answer = document.hidden ? null : await fetch(element.dataset["progress"] ?? "").catch(() => null);
      const found = answer?.ok ? ((await answer.json()) as { isRunning: boolean; done: number; total: number }) : null;
      if (found && !found.isRunning) {
        location.reload();
        return;
      }
      if (found && bar && label && bar.value !== found.done) {
        bar.value = found.done;
        const words = element.dataset["words"] ?? "";
        label.textContent = words.replace("{done}", String(found.done)).replace("{total}", String(found.total));
      }
      setTimeout(look, 2000);
    };
    setTimeout(look, 2000);
  }
}

/** After a form came back with mistakes, the reader is brought to their list. */
function toMistakes(): void {
  document.querySelector<HTMLElement>(".errors")?.focus();
}

clock.run();
followCity();
copyButtons();
foldingMenu();
searchKey();
eagerForms();
waitFor();
showProgress();
toMistakes();
