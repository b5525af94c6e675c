// Colours come from the style sheet alone. light-dark() is resolved by asking what an element would show.

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

/** The colour that a token of city.css has in the theme now shown, such as "rgb(10, 92, 87)". */
export function colour(token: string): string {
  probe.style.color = `var(--${token})`;
  return getComputedStyle(probe).color;
}

/** Calls back when the reader's system changes between light and dark. */
export function onThemeChange(callback: () => void): void {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", callback);
}
