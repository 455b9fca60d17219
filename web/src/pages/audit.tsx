/** Who did what, newest first; and whether nothing is missing. */
import { useSearchParams } from "@solidjs/router";
import { For, Show } from "solid-js";
import { API, withQuery } from "../api/client";
import { createData } from "../api/data";
import type { AuditCheck, AuditPage } from "../api/types";
import { useTab } from "../kit/tab";
import { Ago, Empty, Loaded, PageHead } from "../parts/small";

export default function Audit() {
  const [query, setQuery] = useSearchParams<{ actor?: string; action?: string; cursor?: string }>();
  const data = createData<AuditPage>(() => withQuery(`${API}/audit`, { actor: query.actor, action: query.action, cursor: query.cursor }));
  const check = createData<AuditCheck>(() => `${API}/audit/check`);
  useTab(() => "Audit");
  return (
    <div class="page">
      <PageHead
        title="Audit"
        under={
          <Show when={check.value()}>
            {(found) => (
              <Show when={found().whole} fallback={<span class="bad">The chain is broken at entry {found().broken_at}: something was changed or removed.</span>}>
                {found().entries.toLocaleString("en")} entries, every one as it was written.
              </Show>
            )}
          </Show>
        }
      >
        <form
          class="filters"
          onSubmit={(event) => {
            event.preventDefault();
            const fields = new FormData(event.currentTarget);
            setQuery({ actor: String(fields.get("actor")) || undefined, action: String(fields.get("action")) || undefined, cursor: undefined });
          }}
        >
          <label class="field">
            <span>Who</span>
            <input name="actor" value={query.actor ?? ""} spellcheck={false} />
          </label>
          <label class="field">
            <span>What</span>
            <input name="action" value={query.action ?? ""} placeholder="trigger" spellcheck={false} />
          </label>
          <button type="submit" class="button">
            Show
          </button>
        </form>
      </PageHead>
      <Loaded data={data}>
        {(page) => (
          <Show when={page().entries.length > 0} fallback={<Empty what="Nothing of that kind has happened." />}>
            <div class="table-place" tabindex="0" role="region" aria-label="Audit">
              <table class="table">
                <thead>
                  <tr>
                    <th scope="col">When</th>
                    <th scope="col">Who</th>
                    <th scope="col">What</th>
                    <th scope="col">Of what</th>
                    <th scope="col">Outcome</th>
                    <th scope="col">From</th>
                  </tr>
                </thead>
                <tbody>
                  <For each={page().entries}>
                    {(one) => (
                      <tr>
                        <td>
                          <Ago at={one.at} />
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
