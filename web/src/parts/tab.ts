/** The tab's title and icon, which show the page's status while the tab is in the background. */
import { createEffect, onCleanup } from "solid-js";
import type { Status } from "../api/types";

const COLOURS: Record<Status, string> = {
  pending: "#8a8f98",
  running: "#2f6fbd",
  success: "#1a7f37",
  failure: "#cf222e",
  cancelled: "#6e7781",
  timeout: "#bc4c00",
};
const SHAPES: Record<Status, string> = {
  pending: "M10 16h12",
  running: "M12 10l10 6-10 6z",
  success: "M9 16.5l5 5 9-10",
  failure: "M11 11l10 10M21 11L11 21",
  cancelled: "M10 16h12",
  timeout: "M16 10v6l5 3",
};
const MARKS: Record<Status, string> = {
  pending: "○",
  running: "●",
  success: "✓",
  failure: "✗",
  cancelled: "–",
  timeout: "✗",
};

function icon(status: Status): string {
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="${COLOURS[status]}"/><path d="${SHAPES[status]}" fill="${status === "running" ? "#fff" : "none"}" stroke="#fff" stroke-width="3.4" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(drawing)}`;
}

/** Sets title and icon for the lifetime of the component. Without a status the icon is Danube's own. */
export function useTab(title: () => string, status: () => Status | undefined = () => undefined): void {
  const link = document.querySelector<HTMLLinkElement>("#favicon");
  createEffect(() => {
    const state = status();
    document.title = `${state ? `${MARKS[state]} ` : ""}${title()} · Danube`;
    if (link) link.href = state ? icon(state) : "/favicon.svg";
  });
  onCleanup(() => {
    if (link) link.href = "/favicon.svg";
  });
}
