/** What the server refused, in its own words: what, why, and what mends it. */
import { For, Show } from "solid-js";
import type { Refusal } from "../api/client";

export function Refused(props: { problem: Refusal; onAgain?: () => void }) {
  return (
    <div class="notice is-bad" role="alert">
      <p class="notice-what">{props.problem.message}</p>
      <Show when={props.problem.cause_}>
        <p>{props.problem.cause_}</p>
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
      <Show when={props.onAgain}>
        {(again) => (
          <button type="button" class="button" onClick={() => again()()}>
            Try again
          </button>
        )}
      </Show>
    </div>
  );
}
