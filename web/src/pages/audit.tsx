/** The audit log, newest entries first, and whether its hash chain is intact. */
import { useSearchParams } from "@solidjs/router";
import { For, Show } from "solid-js";
import { API, withQuery } from "../api/client";
import { createData } from "../api/data";
import type { AuditCheck, AuditPage } from "../api/types";
import { useTab } from "../parts/tab";
import { Empty } from "../parts/empty";
import { Loaded } from "../parts/loaded";
import { PageHead } from "../parts/page-head";
import { RelativeTime } from "../parts/relative-time";

interface AuditQuery {
  actor: string | undefined;
  action: string | undefined;
}

export default function Audit() {
  const [query, setQuery] = useSearchParams<{ actor?: string; action?: string; cursor?: string }>();
  const data = createData<AuditPage>(() => withQuery(`${API}/audit`, { actor: query.actor, action: query.action, cursor: query.cursor }));
  const check = createData<AuditCheck>(() => `${API}/audit/check`);
  useTab(() => "Audit");
  return (
    <div class="page">
      <PageHead title="Audit" under={<Show when={check.value()}>{(found) => <CheckResult check={found()} />}</Show>}>
        <Filters actor={query.actor} action={query.action} onFilter={(filter) => setQuery({ ...filter, cursor: undefined })} />
      </PageHead>
      <Loaded data={data}>
        {(page) => (
          <Show when={page().entries.length > 0} fallback={<Empty text="No matching audit entries." />}>
            <Entries entries={page().entries} />
            <Show when={page().cursor}>
              {(cursor) => (
                <button type="button" class="button" onClick={() => setQuery({ cursor: String(cursor()) })}>
                  Older entries
                </button>
              )}
            </Show>
          </Show>
        )}
      </Loaded>
    </div>
  );
}

function CheckResult(props: { check: AuditCheck }) {
  return (
    <Show
      when={props.check.whole}
      fallback={<span class="bad">The hash chain is broken at entry {props.check.broken_at}: an entry was changed or removed.</span>}
    >
      {props.check.entries.toLocaleString("en")} entries, hash chain intact.
    </Show>
  );
}

function Filters(props: AuditQuery & { onFilter: (query: AuditQuery) => void }) {
  return (
    <form
      class="filters"
      onSubmit={(event) => {
        event.preventDefault();
        const fields = new FormData(event.currentTarget);
        props.onFilter({ actor: String(fields.get("actor")) || undefined, action: String(fields.get("action")) || undefined });
      }}
    >
      <label class="field">
        <span>Actor</span>
        <input name="actor" value={props.actor ?? ""} spellcheck={false} />
      </label>
      <label class="field">
        <span>Action</span>
        <input name="action" value={props.action ?? ""} placeholder="trigger" spellcheck={false} />
      </label>
      <button type="submit" class="button">
        Filter
      </button>
    </form>
  );
}

function Entries(props: { entries: AuditPage["entries"] }) {
  return (
    <div class="table-scroll" tabindex="0" role="region" aria-label="Audit">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Actor</th>
            <th scope="col">Action</th>
            <th scope="col">Target</th>
            <th scope="col">Outcome</th>
            <th scope="col">Address</th>
          </tr>
        </thead>
        <tbody>
          <For each={props.entries}>
            {(one) => (
              <tr>
                <td>
                  <RelativeTime at={one.at} />
                </td>
                <td>{one.actor}</td>
                <td>{one.action}</td>
                <td>
                  <code class="wrap">{one.target}</code>
                </td>
                <td classList={{ bad: one.outcome !== "done" }}>{one.outcome}</td>
                <td class="quiet">{one.address}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </div>
  );
}
