/** The names of secrets: set and removed here. Values are write-only. */
import { A, useSearchParams } from "@solidjs/router";
import { createMemo, createSignal, For, Show } from "solid-js";
import { API, pipelinePath, secretsPath, write } from "../api/client";
import { createData } from "../api/data";
import { may } from "../api/session";
import type { PipelineDetail, PipelinePage, Secret, SecretStored } from "../api/types";
import { useTab } from "../parts/tab";
import { Action, createForm } from "../parts/action";
import { Empty } from "../parts/empty";
import { ErrorNotice } from "../parts/error-notice";
import { Loaded } from "../parts/loaded";
import { PageHead } from "../parts/page-head";
import { RelativeTime } from "../parts/relative-time";
import { noticeOf, type SecretNotice } from "./secret-notice";

export default function Secrets() {
  const [query, setQuery] = useSearchParams<{ pipeline?: string }>();
  const pipelines = createData<PipelinePage>(() => `${API}/pipelines`);
  const chosen = createMemo(() => query.pipeline ?? (may("see-global-secret-names") ? "" : pipelines.value()?.pipelines[0]?.name));
  const pipeline = createData<PipelineDetail>(() => (chosen() ? pipelinePath(chosen() ?? "") : undefined));
  const base = () => secretsPath(chosen());
  const secrets = createData<{ secrets: Secret[] }>(base);
  const maySet = () => (chosen() ? (pipeline.value()?.may.includes("set-secrets") ?? false) : may("set-global-secrets"));
  useTab(() => "Secrets");

  const pathOf = (key: string): string => `${base() ?? ""}/${encodeURIComponent(key)}`;
  async function set(key: string, value: string): Promise<SecretNotice> {
    const stored = await write<SecretStored>("PUT", pathOf(key), new TextEncoder().encode(value));
    secrets.reload();
    return noticeOf(key, stored);
  }
  async function remove(key: string): Promise<void> {
    await write("DELETE", pathOf(key));
    secrets.reload();
  }
  return (
    <div class="page">
      <PageHead title="Secrets" under="Values are write-only: they are never shown, neither here nor in a log.">
        <PipelineSelect pipelines={pipelines.value()?.pipelines ?? []} chosen={chosen()} onChoose={(name) => setQuery({ pipeline: name })} />
      </PageHead>
      <Loaded data={secrets}>
        {(found) => (
          <Show
            when={found().secrets.length > 0}
            fallback={<Empty text="No secrets are set." command={`danube secrets set NAME${chosen() ? ` --pipeline ${chosen() ?? ""}` : ""} < FILE`} />}
          >
            <SecretTable secrets={found().secrets} mayRemove={maySet()} onRemove={remove} />
          </Show>
        )}
      </Loaded>
      <Show when={maySet()}>
        <SecretForm onSet={set} />
      </Show>
    </div>
  );
}

function PipelineSelect(props: { pipelines: PipelinePage["pipelines"]; chosen: string | undefined; onChoose: (name: string | undefined) => void }) {
  return (
    <label class="field">
      <span>Pipeline</span>
      <select value={props.chosen ?? ""} onChange={(event) => props.onChoose(event.currentTarget.value || undefined)}>
        <Show when={may("see-global-secret-names")}>
          <option value="">All pipelines</option>
        </Show>
        <For each={props.pipelines}>
          {(one) => (
            <option value={one.name} selected={props.chosen === one.name}>
              {one.name}
            </option>
          )}
        </For>
      </select>
    </label>
  );
}

interface SecretTableProps {
  secrets: readonly Secret[];
  mayRemove: boolean;
  onRemove: (key: string) => Promise<void>;
}

function SecretTable(props: SecretTableProps) {
  return (
    <div class="table-scroll" tabindex="0" role="region" aria-label="Secrets">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Readable by</th>
            <th scope="col">Updated</th>
            <th scope="col">Last read</th>
            <th scope="col">
              <span class="hidden">Remove</span>
            </th>
          </tr>
        </thead>
        <tbody>
          <For each={props.secrets}>{(one) => <SecretRow secret={one} mayRemove={props.mayRemove} onRemove={props.onRemove} />}</For>
        </tbody>
      </table>
    </div>
  );
}

function SecretRow(props: { secret: Secret; mayRemove: boolean; onRemove: (key: string) => Promise<void> }) {
  return (
    <tr>
      <th scope="row">
        <code>{props.secret.key}</code>
      </th>
      <td>{props.secret.for_server ? "the server" : (props.secret.pipeline ?? "all pipelines")}</td>
      <td>
        <RelativeTime at={props.secret.updated_at} />
      </td>
      <td>
        <Show when={props.secret.last_read} fallback={<span class="quiet">never</span>}>
          {(read) => (
            <>
              <RelativeTime at={read().at} /> by <A href={`/jobs/${read().job}`}>{read().pipeline}</A>
            </>
          )}
        </Show>
      </td>
      <td class="table-action">
        <Show when={props.mayRemove}>
          <Action kind="danger" confirm={`Jobs that read ${props.secret.key} fail until it is set again.`} act={() => props.onRemove(props.secret.key)}>
            Remove
          </Action>
        </Show>
      </td>
    </tr>
  );
}

function SecretForm(props: { onSet: (key: string, value: string) => Promise<SecretNotice> }) {
  let element!: HTMLFormElement;
  const [notice, setNotice] = createSignal<SecretNotice | undefined>(undefined);
  const form = createForm(async (fields) => {
    setNotice(undefined);
    setNotice(await props.onSet(String(fields.get("key") ?? "").trim(), String(fields.get("value") ?? "")));
    element.reset();
  });
  return (
    <section class="panel">
      <h2>Set a secret</h2>
      <form class="form is-row" ref={element} onSubmit={(event) => void form.submit(event)}>
        <label>
          Name
          <input name="key" required pattern="[A-Za-z_][A-Za-z0-9_]*" placeholder="DEPLOY_TOKEN" autocomplete="off" spellcheck={false} />
        </label>
        <label>
          Value
          <textarea name="value" rows="1" required autocomplete="off" spellcheck={false} />
        </label>
        <button type="submit" class="button is-primary" disabled={form.busy()}>
          Set secret
        </button>
      </form>
      <Show when={form.problem()}>{(problem) => <ErrorNotice problem={problem()} />}</Show>
      <Show when={notice()}>
        {(one) => (
          <div class="notice" classList={{ "is-good": one().warnings.length === 0 }} role="status">
            <p class="notice-title">{one().title}</p>
            <For each={one().warnings}>{(warning) => <p>{warning}</p>}</For>
          </div>
        )}
      </Show>
    </section>
  );
}
