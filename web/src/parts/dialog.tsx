/** The browser's modal dialog: it keeps the focus inside, closes on Escape, and returns the focus. */
import { onCleanup, onMount, type ParentProps } from "solid-js";
import { Icon } from "./icons";

export function Dialog(props: ParentProps<{ title: string; onClose: () => void }>) {
  let element!: HTMLDialogElement;
  onMount(() => element.showModal());
  onCleanup(() => element.close());
  return (
    <dialog
      ref={element}
      class="dialog"
      aria-labelledby="dialog-title"
      onClose={() => props.onClose()}
      onClick={(event) => {
        if (event.target === element) props.onClose();
      }}
    >
      <div class="dialog-inner">
        <header class="dialog-head">
          <h2 id="dialog-title">{props.title}</h2>
          <button type="button" class="tool" aria-label="Close" onClick={() => props.onClose()}>
            <Icon name="close" />
          </button>
        </header>
        {props.children}
      </div>
    </dialog>
  );
}
