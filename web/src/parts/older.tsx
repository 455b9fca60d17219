/** A list's next page: the button that brings it, and what was refused when it was asked for. */
import { createSignal, Show } from "solid-js";
import { Refusal } from "../api/client";
import { Refused } from "./refused";

/** cursor: where the next page begins; nothing is shown without one. load: brings it, and throws a Refusal. */
export function Older<Cursor extends string | number>(props: { what: string; cursor: Cursor | null | undefined; load: (at: Cursor) => Promise<void> }) {
  const [problem, setProblem] = createSignal<Refusal | undefined>(undefined);
  async function more(at: Cursor): Promise<void> {
    try {
      await props.load(at);
      setProblem(undefined);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setProblem(error);
    }
  }
  return (
    <>
      <Show when={problem()}>{(one) => <Refused problem={one()} />}</Show>
      <Show when={props.cursor}>
        {(at) => (
          <button type="button" class="button" onClick={() => void more(at() as Cursor)}>
            Older {props.what}
          </button>
        )}
      </Show>
    </>
  );
}
