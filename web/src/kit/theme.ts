/** The theme: the system's, or the user's choice. public/theme.js reads the choice before the first paint. */
import { createSignal } from "solid-js";

export type Theme = "system" | "light" | "dark";

const KEY = "danube-theme";

function stored(): Theme {
  try {
    const found = localStorage.getItem(KEY);
    return found === "light" || found === "dark" ? found : "system";
  } catch {
    return "system"; // storage is blocked
  }
}

const [theme, set] = createSignal<Theme>(stored());
export { theme };

export function setTheme(next: Theme): void {
  set(next);
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, next);
  } catch {
    return; // storage is blocked: the choice lasts until the page is closed
  }
}
