/** The bar at the top of each page: navigation, state of the connection, theme, shortcuts, account. */
import { A } from "@solidjs/router";
import { For, Show } from "solid-js";
import { connection, reconnect } from "../api/events";
import { maySomewhere, me } from "../api/session";
import { setTheme, theme, type Theme } from "../kit/theme";
import { Icon, type IconName } from "./icons";

const THEMES: Record<Theme, { next: Theme; icon: IconName; label: string }> = {
  system: { next: "light", icon: "system", label: "Theme: system" },
  light: { next: "dark", icon: "sun", label: "Theme: light" },
  dark: { next: "system", icon: "moon", label: "Theme: dark" },
};

/** `needs`: the action that the user must have somewhere for the page to be of use. */
const PAGES: { href: string; name: string; needs?: string }[] = [
  { href: "/", name: "Pipelines" },
  { href: "/queue", name: "Queue" },
  { href: "/secrets", name: "Secrets", needs: "see-secret-names" },
  { href: "/configuration", name: "Configuration", needs: "see-configuration" },
  { href: "/audit", name: "Audit", needs: "see-audit" },
];

export function Header(props: { onHelp: () => void }) {
  return (
    <header class="bar">
      <A class="brand" href="/" aria-label="Danube: all pipelines">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <circle cx="16" cy="16" r="15" />
          <path d="M5 13c4-4 7 4 11 0s7 4 11 0M5 20c4-4 7 4 11 0s7 4 11 0" />
        </svg>
        <span>Danube</span>
      </A>
      <Show when={me()}>
        <nav class="nav" aria-label="Pages">
          <For each={PAGES.filter((one) => !one.needs || maySomewhere(one.needs))}>
            {(one) => (
              <A class="nav-link" href={one.href} end={one.href === "/"}>
                {one.name}
              </A>
            )}
          </For>
        </nav>
      </Show>
      <span class="grow" />
      <ConnectionState lost={Boolean(me()) && connection() === "lost"} />
      <button type="button" class="tool" aria-label={THEMES[theme()].label} title={THEMES[theme()].label} onClick={() => setTheme(THEMES[theme()].next)}>
        <Icon name={THEMES[theme()].icon} />
      </button>
      <button type="button" class="tool only-wide" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => props.onHelp()}>
        ?
      </button>
      <Show when={me()}>
        {(user) => (
          <A class="nav-link account-link" href="/account" aria-label={`My account: ${user().name}`}>
            <Icon name="person" />
            <span class="only-wide">{user().name}</span>
          </A>
        )}
      </Show>
    </header>
  );
}

function ConnectionState(props: { lost: boolean }) {
  return (
    <>
      <span class="hidden" role="status">
        {props.lost ? "Connection lost; this page may be out of date." : ""}
      </span>
      <Show when={props.lost}>
        <button type="button" class="connection-lost" onClick={() => reconnect()} title="This page may be out of date. Click to reconnect.">
          Connection lost
        </button>
      </Show>
    </>
  );
}
