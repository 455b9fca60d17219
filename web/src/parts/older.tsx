/** The button that loads a list's next page, with the error if that failed. */
import { createSignal, Show } from "solid-js";
import { ApiError } from "../api/client";
import { ErrorNotice } from "./error-notice";

/** `cursor`: where the next page begins; without one nothing is shown. `load`: loads that page; throws ApiError. */
export function Older<Cursor extends string | number>(props: { what: string; cursor: Cursor | null | undefined; load: (at: Cursor) => Promise<void> }) {
  const [problem, setProblem] = createSignal<ApiError | undefined>(undefined);
  async function more(at: Cursor): Promise<void> {
    try {
      await props.load(at);
      setProblem(undefined);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    }
  }
  return (
    <>
      <Show when={problem()}>{(one) => <ErrorNotice problem={one()} />}</Show>
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
