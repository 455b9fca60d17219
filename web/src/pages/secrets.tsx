/** Secrets by name: set and removed here, never shown. */
import { A, useSearchParams } from "@solidjs/router";
import { createMemo, For, Show } from "solid-js";
import { API, pipelinePath, write } from "../api/client";
import { createData } from "../api/data";
import { may } from "../api/session";
import type { PipelineDetail, PipelinePage, Secret } from "../api/types";
import { useTab } from "../kit/tab";
import { Action, createForm } from "../parts/action";
import { Refused } from "../parts/refused";
import { Ago, Empty, Loaded, PageHead } from "../parts/small";

export default function Secrets() {
  const [query, setQuery] = useSearchParams<{ pipeline?: string }>();
  const pipelines = createData<PipelinePage>(() => `${API}/pipelines`);
  const canSeeGlobal = () => may("see-global-secret-names");
  const chosen = createMemo(() => query.pipeline ?? (canSeeGlobal() ? "" : pipelines.value()?.pipelines[0]?.name));
  const pipeline = createData<PipelineDetail>(() => (chosen() ? pipelinePath(chosen() ?? "") : undefined));
  const base = () => {
    const name = chosen();
    return name === undefined ? undefined : name ? pipelinePath(name, "/secrets") : `${API}/secrets`;
  };
  const secrets = createData<{ secrets: Secret[] }>(base);
  const maySet = () => (chosen() ? (pipeline.value()?.may.includes("set-secrets") ?? false) : may("set-global-secrets"));
  useTab(() => "Secrets");

  const form = createForm(async (fields) => {
    const key = String(fields.get("key") ?? "").trim();
    await write("PUT", `${base() ?? ""}/${encodeURIComponent(key)}`, new TextEncoder().encode(String(fields.get("value") ?? "")));
    document.querySelector<HTMLFormElement>("#secret-form")?.reset();
    secrets.reload();
  });
  return (
    <div class="page">
      <PageHead title="Secrets" under="Values go in and never come out: not here, not in a log.">
        <label class="field">
          <span>Of</span>
          <select value={chosen() ?? ""} onChange={(event) => setQuery({ pipeline: event.currentTarget.value || undefined })}>
            <Show when={canSeeGlobal()}>
              <option value="">every pipeline</option>
            </Show>
            <For each={pipelines.value()?.pipelines ?? []}>
              {(one) => (
                <option value={one.name} selected={chosen() === one.name}>
                  {one.name}
                </option>
              )}
            </For>
          </select>
        </label>
      </PageHead>
      <Loaded data={secrets}>
        {(found) => (
          <Show
            when={found().secrets.length > 0}
            fallback={<Empty what="None is set." command={`danube secrets set NAME${chosen() ? ` --pipeline ${chosen() ?? ""}` : ""} < FILE`} />}
          >
            <div class="table-place" tabindex="0" role="region" aria-label="Secrets">
              <table class="table">
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">Read by</th>
                    <th scope="col">Set</th>
                    <th scope="col">Read last</th>
                    <th scope="col">
                      <span class="hidden">Remove</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  <For each={found().secrets}>
                    {(one) => (
                      <tr>
                        <th scope="row">
                          <code>{one.key}</code>
                        </th>
                        <td>{one.for_server ? "the server itself" : (one.pipeline ?? "every pipeline")}</td>
                        <td>
                          <Ago at={one.updated_at} />
                        </td>
                        <td>
                          <Show when={one.last_read} fallback={<span class="quiet">by no job</span>}>
                            {(read) => (
                              <>
                                <Ago at={read().at} /> by <A href={`/jobs/${read().job}`}>{read().pipeline}</A>
                              </>
                            )}
                          </Show>
                        </td>
                        <td class="table-act">
                          <Show when={maySet()}>
                            <Action
                              kind="danger"
                              confirm={`Jobs that ask for ${one.key} will fail until it is set again.`}
                              act={async () => {
                                await write("DELETE", `${base() ?? ""}/${encodeURIComponent(one.key)}`);
                                secrets.reload();
                              }}
                            >
                              Remove
                            </Action>
                          </Show>
                        </td>
                      </tr>
                    )}
                  </For>
                </tbody>
              </table>
            </div>
          </Show>
        )}
      </Loaded>
      <Show when={maySet()}>
        <section class="panel">
          <h2>Set one</h2>
          <form class="form is-row" id="secret-form" onSubmit={(event) => void form.submit(event)}>
            <label>
              Name
              <input name="key" required pattern="[A-Za-z_][A-Za-z0-9_]*" placeholder="DEPLOY_TOKEN" autocomplete="off" spellcheck={false} />
            </label>
            <label>
              Value
              <textarea name="value" rows="1" required autocomplete="off" spellcheck={false} />
            </label>
            <button type="submit" class="button is-primary" disabled={form.busy()}>
              Set
            </button>
          </form>
          <Show when={form.problem()}>{(problem) => <Refused problem={problem()} />}</Show>
        </section>
      </Show>
    </div>
  );
}
