/** Light or dark: the system's, or what somebody chose here. public/theme.js reads the choice before anything is drawn. */
import { createSignal } from "solid-js";

export type Theme = "system" | "light" | "dark";

const KEY = "danube-theme";

function chosen(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system"; // a browser that keeps nothing for us
  }
}

const [theme, set] = createSignal<Theme>(chosen());
export { theme };

export function setTheme(next: Theme): void {
  set(next);
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    return; // it holds until the page is left
  }
}
