/** What a job has reported beside its tests: summaries, coverage, and places of the repository. */
import { createEffect, For, on, Show } from "solid-js";
import { jobPath } from "../api/client";
import { createData } from "../api/data";
import type { Coverage, JobDetail, JobNotes as Notes } from "../api/types";
import { Icon } from "../parts/icons";
import { Markdown } from "../parts/markdown";
import { placeOf } from "./reported-tests";

export function JobNotes(props: { job: JobDetail }) {
  const data = createData<Notes>(() => jobPath(props.job.id, "/notes"));
  const ended = () => props.job.steps.filter((step) => step.finished_at).length;
  createEffect(on([ended, () => props.job.status], () => data.reload(), { defer: true }));
  return (
    <Show when={data.value()}>
      {(found) => (
        <>
          <For each={found().summaries}>
            {(text) => (
              <section class="summary">
                <h2>Summary</h2>
                <Markdown text={text} />
              </section>
            )}
          </For>
          <Show when={found().coverage.length > 0}>
            <section>
              <h2>Coverage</h2>
              <For each={found().coverage}>{(one) => <CoverageReport coverage={one} />}</For>
            </section>
          </Show>
          <Show when={found().annotations.length > 0}>
            <section>
              <h2>Annotations</h2>
              <ul class="tests">
                <For each={found().annotations}>
                  {(one) => (
                    <li class={`test is-${one.level === "error" ? "failed" : "passed"}`}>
                      <Icon name={one.level === "error" ? "stop" : "file"} /> <code class="wrap">{placeOf(one)}</code> <span class="wrap">{one.message}</span>
                    </li>
                  )}
                </For>
              </ul>
            </section>
          </Show>
        </>
      )}
    </Show>
  );
}

function CoverageReport(props: { coverage: Coverage }) {
  return (
    <details>
      <summary>
        <span class="wrap">{props.coverage.name}</span>: {props.coverage.words}
      </summary>
      <ul class="tests">
        <For each={props.coverage.files}>
          {(file) => (
            <li class="test">
              <code class="wrap">{file.file}</code>{" "}
              <span class="quiet">
                {file.covered} of {file.total}
              </span>
            </li>
          )}
        </For>
      </ul>
    </details>
  );
}
