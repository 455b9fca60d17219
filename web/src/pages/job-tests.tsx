/** The tests that a job has reported: failed ones first, with their last results. */
import { createEffect, For, on, Show } from "solid-js";
import { jobPath } from "../api/client";
import { createData } from "../api/data";
import type { JobDetail, ReportedTest, ReportedTests } from "../api/types";
import { duration } from "../kit/time";
import { Icon } from "../parts/icons";
import { historyWords, placeOf, sortedTests } from "./reported-tests";

export function JobTests(props: { job: JobDetail }) {
  const data = createData<ReportedTests>(() => jobPath(props.job.id, "/tests"));
  const ended = () => props.job.steps.filter((step) => step.finished_at).length;
  createEffect(on([ended, () => props.job.status], () => data.reload(), { defer: true }));
  return (
    <Show when={data.value()?.summary ? data.value() : undefined}>
      {(found) => (
        <section>
          <h2>Tests</h2>
          <p>
            {found().passed} passed, <span classList={{ "tests-failed": found().failed > 0 }}>{found().failed} failed</span>, {found().skipped} skipped
          </p>
          <ul class="tests">
            <For each={sortedTests(found().tests).named}>{(test) => <TestRow test={test} />}</For>
          </ul>
          <Show when={sortedTests(found().tests).slowest.length > 0}>
            <details>
              <summary>Slowest tests</summary>
              <ul class="tests">
                <For each={sortedTests(found().tests).slowest}>
                  {(test) => (
                    <li class="test">
                      <span class="wrap">{test.name}</span> <span class="quiet">{duration(test.seconds)}</span>
                    </li>
                  )}
                </For>
              </ul>
            </details>
          </Show>
        </section>
      )}
    </Show>
  );
}

function TestRow(props: { test: ReportedTest }) {
  return (
    <li class={`test is-${props.test.status}`}>
      <details>
        <summary>
          <Icon name={props.test.status === "failed" ? "stop" : "check"} /> <span class="wrap">{props.test.name}</span>
          <Show when={props.test.is_flaky}>
            {" "}
            <span class="flaky">flaky</span>
          </Show>
        </summary>
        <Show when={placeOf(props.test)}>
          <p>
            <code class="wrap">{placeOf(props.test)}</code>
          </p>
        </Show>
        <pre class="wrap">{props.test.message || "The report has no message."}</pre>
        <p class="quiet">{historyWords(props.test)}</p>
      </details>
    </li>
  );
}
