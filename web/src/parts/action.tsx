/** A button that sends a request: it is disabled meanwhile, asks for confirmation if wanted, and shows a failure in a dialog. */
import { createSignal, Show, type ParentProps } from "solid-js";
import { ApiError } from "../api/client";
import { Dialog } from "./dialog";
import { Icon, type IconName } from "./icons";
import { ErrorNotice } from "./error-notice";

export interface ActionProps {
  icon?: IconName;
  kind?: "primary" | "danger";
  /** A warning that the user must confirm first, for actions that cannot be undone. */
  confirm?: string;
  /** Why the user may not do it: the button is disabled, and named by it. */
  refused?: string;
  act: () => Promise<unknown>;
}

export function Action(props: ParentProps<ActionProps>) {
  const [busy, setBusy] = createSignal(false);
  const [asking, setAsking] = createSignal(false);
  const [problem, setProblem] = createSignal<ApiError | undefined>(undefined);
  async function run(): Promise<void> {
    setAsking(false);
    setBusy(true);
    try {
      await props.act();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return (
    <>
      <button
        type="button"
        class="button"
        classList={{ "is-primary": props.kind === "primary", "is-danger": props.kind === "danger" }}
        disabled={busy() || Boolean(props.refused)}
        title={props.refused}
        onClick={() => (props.confirm ? setAsking(true) : void run())}
      >
        <Show when={props.icon}>{(icon) => <Icon name={icon()} />}</Show>
        {props.children}
      </button>
      <Show when={asking()}>
        <Dialog title="Are you sure?" onClose={() => setAsking(false)}>
          <p>{props.confirm}</p>
          <div class="dialog-actions">
            <button type="button" class="button" onClick={() => setAsking(false)}>
              No
            </button>
            <button type="button" class="button is-danger" onClick={() => void run()}>
              Yes
            </button>
          </div>
        </Dialog>
      </Show>
      <Show when={problem()}>
        {(one) => (
          <Dialog title="Request failed" onClose={() => setProblem(undefined)}>
            <ErrorNotice problem={one()} />
          </Dialog>
        )}
      </Show>
    </>
  );
}

/** The state of a form that sends a request: whether it is busy, why it failed, and its submit handler. */
export function createForm(act: (fields: FormData) => Promise<unknown>) {
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<ApiError | undefined>(undefined);
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    setProblem(undefined);
    try {
      await act(new FormData(form));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem, submit };
}
