/** An error of the API: what failed, the cause, the findings and the hint. */
import { For, Show } from "solid-js";
import type { ApiError } from "../api/client";

export function ErrorNotice(props: { problem: ApiError; onRetry?: () => void }) {
  return (
    <div class="notice is-bad" role="alert">
      <p class="notice-title">{props.problem.message}</p>
      <Show when={props.problem.detail}>
        <p>{props.problem.detail}</p>
      </Show>
      <For each={props.problem.findings}>
        {(finding) => (
          <p>
            <code>{finding.place}</code> {finding.what} {finding.hint}
          </p>
        )}
      </For>
      <Show when={props.problem.hint}>
        <p class="notice-hint">{props.problem.hint}</p>
      </Show>
      <Show when={props.onRetry}>
        {(retry) => (
          <button type="button" class="button" onClick={() => retry()()}>
            Try again
          </button>
        )}
      </Show>
    </div>
  );
}
