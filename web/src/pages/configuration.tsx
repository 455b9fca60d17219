/** The configuration repository as the server sees it: what is in force, what is wrong with what came since. */
import { For, Show } from "solid-js";
import { API, write } from "../api/client";
import { createData } from "../api/data";
import { may } from "../api/session";
import type { ConfigurationState } from "../api/types";
import { useTab } from "../kit/tab";
import { Action } from "../parts/action";
import { Address, Ago, Command, Loaded, Outward, PageHead } from "../parts/small";

export default function Configuration() {
  const data = createData<ConfigurationState>(() => `${API}/config`);
  useTab(
    () => "Configuration",
    () => (data.value() ? (data.value()?.ok ? "success" : "failure") : undefined),
  );
  async function sync(): Promise<void> {
    await write("POST", `${API}/config/sync`);
    data.reload();
  }
  return (
    <div class="page">
      <PageHead title="Configuration" under="It lives in Git; this page only tells how the server sees it.">
        <Show when={may("sync-configuration")}>
          <Action icon="again" act={sync}>
            Look now
          </Action>
        </Show>
      </PageHead>
      <Loaded data={data}>
        {(state) => (
          <>
            <Show
              when={!state().ok}
              fallback={<p class="notice is-good">The newest commit is in force.</p>}
            >
              <div class="notice is-bad" role="status">
                <p class="notice-what">
                  {state().problem ? "The repository cannot be read." : "The newest commit has mistakes, so the last good one stays in force."}
                </p>
                <Show when={state().problem}>
                  {(problem) => (
                    <>
                      <p>{problem().what}</p>
                      <p class="notice-hint">{problem().hint}</p>
                    </>
                  )}
                </Show>
                <Show when={state().findings.length > 0}>
                  <p>
                    Mend them and push again; <Command text="danube validate" /> finds the same on your machine.
                  </p>
                </Show>
              </div>
            </Show>
            <Show when={state().findings.length > 0}>
              <ol class="findings">
                <For each={state().findings}>
                  {(one) => (
                    <li>
                      <Outward to={one.url}>
                        <code class="finding-place">{one.place}</code>
                      </Outward>
                      <p class="finding-what">{one.what}</p>
                      <Show when={one.hint}>
                        <p class="notice-hint">{one.hint}</p>
                      </Show>
                    </li>
                  )}
                </For>
              </ol>
            </Show>
            <Show when={state().conditions.length > 0}>
              <h2>What it still waits for</h2>
              <ul class="findings is-quiet">
                <For each={state().conditions}>
                  {(one) => (
                    <li>
                      <p class="finding-what">{one.what}</p>
                      <Show when={one.hint}>
                        <p class="notice-hint">{one.hint}</p>
                      </Show>
                    </li>
                  )}
                </For>
              </ul>
            </Show>
            <dl class="facts is-wide">
              <dt>Repository</dt>
              <dd>
                <Address of={state().repository} />
                <Show when={state().branch}>
                  {(branch) => (
                    <>
                      {" "}
                      branch <code>{branch()}</code>
                    </>
                  )}
                </Show>
              </dd>
              <dt>In force</dt>
              <dd>
                <Outward to={state().applied_url}>
                  <code class="wrap">{state().applied_revision || "nothing yet"}</code>
                </Outward>{" "}
                <Show when={state().applied_at}>{(at) => <Ago at={at()} />}</Show>
              </dd>
              <dt>Seen last</dt>
              <dd>
                <Outward to={state().seen_url}>
                  <code class="wrap">{state().seen_revision || "nothing yet"}</code>
                </Outward>{" "}
                <Show when={state().checked_at}>{(at) => <Ago at={at()} />}</Show>
              </dd>
              <Show when={state().deploy_key}>
                {(key) => (
                  <>
                    <dt>Deploy key</dt>
                    <dd>
                      <code class="wrap">{key()}</code>
                      <p class="quiet">Give it read access where repositories are read by ssh.</p>
                    </dd>
                  </>
                )}
              </Show>
            </dl>
          </>
        )}
      </Loaded>
    </div>
  );
}
