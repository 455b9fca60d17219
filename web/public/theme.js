// Runs before the first paint, so that the page does not flash in the system's theme. src/kit/theme.ts writes the choice.
try {
  const chosen = localStorage.getItem("danube-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is blocked: the system's theme stays.
}
