/** The button that returns to the end of a live log, with the number of lines since the user left it. */
import { createEffect, createMemo, createSignal } from "solid-js";
import { count } from "../kit/sizes";
import { Icon } from "../parts/icons";
import type { LogReader } from "./reader";

/** The number of lines that were appended while the end was not followed. */
export function createUnseenLines(reader: LogReader, following: () => boolean): () => number {
  const [seen, setSeen] = createSignal(0);
  createEffect(() => {
    reader.version();
    if (following()) setSeen(reader.store.appended);
  });
  return createMemo(() => {
    reader.version();
    return reader.store.appended - seen();
  });
}

export function FollowButton(props: { unseen: number; onClick: () => void }) {
  return (
    <button type="button" class="button log-follow" onClick={() => props.onClick()}>
      <Icon name="down" />
      {props.unseen > 0 ? `${count(props.unseen, "new line")} · follow` : "Follow log"}
    </button>
  );
}
