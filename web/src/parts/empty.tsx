/** What is shown in place of an empty list, with the command or the button that changes it. */
import { Show, type ParentProps } from "solid-js";

/** A command to type. */
export function Command(props: { text: string }) {
  return <code class="command">{props.text}</code>;
}

export function Empty(props: ParentProps<{ text: string; command?: string }>) {
  return (
    <div class="empty">
      <p>{props.text}</p>
      <Show when={props.command}>{(command) => <Command text={command()} />}</Show>
      {props.children}
    </div>
  );
}
