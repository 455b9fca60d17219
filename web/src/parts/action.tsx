/** A button that asks the server for something: it says that it is busy, and why it was refused. */
import { createSignal, Show, type ParentProps } from "solid-js";
import { Refusal } from "../api/client";
import { Dialog } from "./dialog";
import { Icon, type IconName } from "./icons";
import { Refused } from "./refused";

export interface ActionProps {
  icon?: IconName;
  kind?: "primary" | "danger";
  /** Asked before it is done, for what cannot be undone. */
  confirm?: string;
  act: () => Promise<unknown>;
}

export function Action(props: ParentProps<ActionProps>) {
  const [busy, setBusy] = createSignal(false);
  const [asking, setAsking] = createSignal(false);
  const [problem, setProblem] = createSignal<Refusal | undefined>(undefined);
  async function run(): Promise<void> {
    setAsking(false);
    setBusy(true);
    try {
      await props.act();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
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
        disabled={busy()}
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
          <Dialog title="That was refused" onClose={() => setProblem(undefined)}>
            <Refused problem={one()} />
          </Dialog>
        )}
      </Show>
    </>
  );
}

/** A form that writes: the same, for fields. */
export function createForm(act: (fields: FormData) => Promise<unknown>) {
  const [busy, setBusy] = createSignal(false);
  const [problem, setProblem] = createSignal<Refusal | undefined>(undefined);
  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    setBusy(true);
    setProblem(undefined);
    try {
      await act(new FormData(form));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      setProblem(error);
    } finally {
      setBusy(false);
    }
  }
  return { busy, problem, submit };
}
