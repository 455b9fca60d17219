/** The frame of every page: header, main area, help. It opens the session and sends users without one to the login page. */
import { useLocation, useNavigate, type RouteSectionProps } from "@solidjs/router";
import { createEffect, createSignal, For, onMount, Show, Suspense } from "solid-js";
import { ApiError } from "../api/client";
import { me, openSession } from "../api/session";
import { commands, useCommands } from "../kit/keys";
import { Dialog } from "./dialog";
import { ErrorNotice } from "./error-notice";
import { Header } from "./header";

export function Shell(props: RouteSectionProps) {
  const [problem, setProblem] = createSignal<ApiError | undefined>(undefined);
  const [help, setHelp] = createSignal(false);
  const navigate = useNavigate();
  const location = useLocation();

  async function open(): Promise<void> {
    setProblem(undefined);
    try {
      await openSession();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    }
  }
  onMount(() => void open());
  createEffect(() => {
    if (me() === null && location.pathname !== "/login") {
      navigate(`/login?return_to=${encodeURIComponent(location.pathname + location.search)}`, { replace: true });
    }
  });
  useCommands([{ key: "?", description: "show this help", run: () => setHelp(true) }]);

  return (
    <>
      <a class="skip" href="#main" rel="external">
        Skip to content
      </a>
      <Header onHelp={() => setHelp(true)} />
      <main id="main" tabindex="-1">
        <Show when={problem()}>{(one) => <ErrorNotice problem={one()} onRetry={() => void open()} />}</Show>
        <Show when={me() || location.pathname === "/login"}>
          <Suspense>{props.children}</Suspense>
        </Show>
      </main>
      <Show when={help()}>
        <ShortcutsDialog onClose={() => setHelp(false)} />
      </Show>
    </>
  );
}

function ShortcutsDialog(props: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={props.onClose}>
      <dl class="keys">
        <For each={commands()}>
          {(one) => (
            <div>
              <dt>
                <kbd>{one.key}</kbd>
              </dt>
              <dd>{one.description}</dd>
            </div>
          )}
        </For>
      </dl>
    </Dialog>
  );
}
