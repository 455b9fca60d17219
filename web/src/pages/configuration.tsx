/** The configuration repository: which commit is applied, and the errors and unmet conditions of the latest one. */
import { For, Show } from "solid-js";
import { API, write } from "../api/client";
import { createData } from "../api/data";
import { may } from "../api/session";
import type { ConfigurationState } from "../api/types";
import { useTab } from "../parts/tab";
import { Action } from "../parts/action";
import { Command } from "../parts/empty";
import { Fact } from "../parts/facts";
import { ExternalLink, RepositoryLink } from "../parts/links";
import { Loaded } from "../parts/loaded";
import { PageHead } from "../parts/page-head";
import { RelativeTime } from "../parts/relative-time";

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
      <PageHead title="Configuration" under="The configuration repository as the server last read it. Changes are made in Git.">
        <Show when={may("sync-configuration")}>
          <Action icon="again" act={sync}>
            Sync configuration
          </Action>
        </Show>
      </PageHead>
      <Loaded data={data}>
        {(state) => (
          <>
            <Result state={state()} />
            <Findings state={state()} />
            <Conditions state={state()} />
            <Repository state={state()} />
          </>
        )}
      </Loaded>
    </div>
  );
}

function Result(props: { state: ConfigurationState }) {
  return (
    <Show when={!props.state.ok} fallback={<p class="notice is-good">The latest commit is applied.</p>}>
      <div class="notice is-bad" role="status">
        <p class="notice-title">
          {props.state.problem ? "The repository cannot be read." : "The latest commit has errors; the last valid commit stays applied."}
        </p>
        <Show when={props.state.problem}>
          {(problem) => (
            <>
              <p>{problem().what}</p>
              <p class="notice-hint">{problem().hint}</p>
            </>
          )}
        </Show>
        <Show when={props.state.findings.length > 0}>
          <p>
            Fix the errors and push again. <Command text="danube validate" /> finds them on your machine.
          </p>
        </Show>
      </div>
    </Show>
  );
}

function Findings(props: { state: ConfigurationState }) {
  return (
    <Show when={props.state.findings.length > 0}>
      <ol class="findings">
        <For each={props.state.findings}>
          {(one) => (
            <li>
              <ExternalLink to={one.url}>
                <code class="finding-location">{one.place}</code>
              </ExternalLink>
              <p class="finding-message">{one.what}</p>
              <Show when={one.hint}>
                <p class="notice-hint">{one.hint}</p>
              </Show>
            </li>
          )}
        </For>
      </ol>
    </Show>
  );
}

function Conditions(props: { state: ConfigurationState }) {
  return (
    <Show when={props.state.conditions.length > 0}>
      <h2>Unmet conditions</h2>
      <ul class="findings is-quiet">
        <For each={props.state.conditions}>
          {(one) => (
            <li>
              <p class="finding-message">{one.what}</p>
              <Show when={one.hint}>
                <p class="notice-hint">{one.hint}</p>
              </Show>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}

function Repository(props: { state: ConfigurationState }) {
  return (
    <dl class="facts is-wide">
      <Fact name="Repository">
        <RepositoryLink address={props.state.repository} />
        <Show when={props.state.branch}>
          {(branch) => (
            <>
              {" "}
              branch <code>{branch()}</code>
            </>
          )}
        </Show>
      </Fact>
      <Commit name="Applied commit" revision={props.state.applied_revision} url={props.state.applied_url} at={props.state.applied_at} />
      <Commit name="Latest commit" revision={props.state.seen_revision} url={props.state.seen_url} at={props.state.checked_at} />
      <Show when={props.state.deploy_key}>
        {(key) => (
          <Fact name="Deploy key">
            <code class="wrap">{key()}</code>
            <p class="quiet">Grant this key read access to repositories that are read over SSH.</p>
          </Fact>
        )}
      </Show>
    </dl>
  );
}

function Commit(props: { name: string; revision: string; url: string; at: string | null }) {
  return (
    <Fact name={props.name}>
      <ExternalLink to={props.url}>
        <code class="wrap">{props.revision || "none yet"}</code>
      </ExternalLink>{" "}
      <Show when={props.at}>{(at) => <RelativeTime at={at()} />}</Show>
    </Fact>
  );
}
