/** The head of a page: title, subtitle, and its actions as children. */
import { Show, type JSX, type ParentProps } from "solid-js";

export function PageHead(props: ParentProps<{ title: JSX.Element; under?: JSX.Element }>) {
  return (
    <header class="page-head">
      <div class="page-title">
        <h1>{props.title}</h1>
        <Show when={props.under}>
          <p class="quiet">{props.under}</p>
        </Show>
      </div>
      <div class="page-actions">{props.children}</div>
    </header>
  );
}
