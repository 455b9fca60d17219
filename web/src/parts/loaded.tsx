/** The content for loaded data, or the error, or a loading message if it takes long enough to be noticed. */
import { Show, type JSX } from "solid-js";
import type { Data } from "../api/data";
import { ErrorNotice } from "./error-notice";

export function Loaded<T>(props: { data: Data<T>; children: (value: () => NonNullable<T>) => JSX.Element }) {
  return (
    <>
      <Show when={props.data.problem()}>{(problem) => <ErrorNotice problem={problem()} onRetry={props.data.reload} />}</Show>
      <Show
        when={props.data.value()}
        fallback={
          <Show when={props.data.slow() && !props.data.problem()}>
            <p class="loading" role="status">
              Loading…
            </p>
          </Show>
        }
      >
        {(value) => props.children(value as () => NonNullable<T>)}
      </Show>
    </>
  );
}
