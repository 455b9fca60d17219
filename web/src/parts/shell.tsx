/** What stands around every page: where one can go, whether it is live, who one is. */
import { A, useLocation, useNavigate, type RouteSectionProps } from "@solidjs/router";
import { createEffect, createSignal, For, onMount, Show, Suspense } from "solid-js";
import { Refusal } from "../api/client";
import { connectAgain, connection } from "../api/events";
import { maySomewhere, me, openSession } from "../api/session";
import { commands, useCommands } from "../kit/keys";
import { setTheme, theme, type Theme } from "../kit/theme";
import { Dialog } from "./dialog";
import { Icon, type IconName } from "./icons";
import { Refused } from "./refused";

const THEMES: Record<Theme, { next: Theme; icon: IconName; says: string }> = {
  system: { next: "light", icon: "system", says: "Theme: the system's" },
  light: { next: "dark", icon: "sun", says: "Theme: light" },
  dark: { next: "system", icon: "moon", says: "Theme: dark" },
};

const PLACES: { href: string; name: string; needs?: string }[] = [
  { href: "/", name: "Pipelines" },
  { href: "/queue", name: "Queue" },
  { href: "/secrets", name: "Secrets", needs: "see-secret-names" },
  { href: "/configuration", name: "Configuration", needs: "see-configuration" },
  { href: "/audit", name: "Audit", needs: "see-audit" },
];

export function Shell(props: RouteSectionProps) {
  const [problem, setProblem] = createSignal<Refusal | undefined>(undefined);
  const [help, setHelp] = createSignal(false);
  const navigate = useNavigate();
  const location = useLocation();

  async function open(): Promise<void> {
    setProblem(undefined);
    try {
      await openSession();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setProblem(error);
    }
  }
  onMount(() => void open());
  createEffect(() => {
    if (me() === null && location.pathname !== "/login") {
      navigate(`/login?return_to=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
    }
  });
  useCommands([{ key: "?", what: "this help", act: () => setHelp(true) }]);

  const isLogin = () => location.pathname === "/login";
  return (
    <>
      <a class="skip" href="#main" rel="external">
        Skip to the content
      </a>
      <header class="bar">
        <A class="brand" href="/" aria-label="Danube: all pipelines">
          <svg viewBox="0 0 32 32" aria-hidden="true">
            <circle cx="16" cy="16" r="15" />
            <path d="M5 13c4-4 7 4 11 0s7 4 11 0M5 20c4-4 7 4 11 0s7 4 11 0" />
          </svg>
          <span>Danube</span>
        </A>
        <Show when={me()}>
          <nav class="places" aria-label="Pages">
            <For each={PLACES.filter((one) => !one.needs || maySomewhere(one.needs))}>
              {(one) => (
                <A class="place" href={one.href} end={one.href === "/"}>
                  {one.name}
                </A>
              )}
            </For>
          </nav>
        </Show>
        <span class="grow" />
        <span class="hidden" role="status">
          {me() && connection() === "lost" ? "The connection is lost; what you see may be old." : ""}
        </span>
        <Show when={me() && connection() === "lost"}>
          <button type="button" class="lost" onClick={() => connectAgain()} title="What you see may be old. Click to try now.">
            Connection lost
          </button>
        </Show>
        <button type="button" class="tool" aria-label={THEMES[theme()].says} title={THEMES[theme()].says} onClick={() => setTheme(THEMES[theme()].next)}>
          <Icon name={THEMES[theme()].icon} />
        </button>
        <button type="button" class="tool only-wide" aria-label="Keyboard commands" title="Keyboard commands (?)" onClick={() => setHelp(true)}>
          ?
        </button>
        <Show when={me()}>
          {(who) => (
            <A class="place who" href="/account" aria-label={`My account: ${who().name}`}>
              <Icon name="person" />
              <span class="only-wide">{who().name}</span>
            </A>
          )}
        </Show>
      </header>
      <main id="main" tabindex="-1">
        <Show when={problem()}>{(one) => <Refused problem={one()} onAgain={() => void open()} />}</Show>
        <Show when={me() || isLogin()}>
          <Suspense>{props.children}</Suspense>
        </Show>
      </main>
      <Show when={help()}>
        <Dialog title="Keyboard" onClose={() => setHelp(false)}>
          <dl class="keys">
            <For each={commands()}>
              {(one) => (
                <div>
                  <dt>
                    <kbd>{one.key}</kbd>
                  </dt>
                  <dd>{one.what}</dd>
                </div>
              )}
            </For>
          </dl>
        </Dialog>
      </Show>
    </>
  );
}
