// Runs before anything is drawn, so that a chosen theme never flashes. src/kit/theme.ts writes what is read here.
try {
  const chosen = localStorage.getItem("danube-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // A browser that keeps nothing for us shows the system's theme.
}
