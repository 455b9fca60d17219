/** The dialog that starts a pipeline manually: what to build, and its parameters. */
import { useNavigate } from "@solidjs/router";
import { For, Show } from "solid-js";
import { pipelinePath, write } from "../api/client";
import type { Job, Param } from "../api/types";
import { createForm } from "../parts/action";
import { Dialog } from "../parts/dialog";
import { ErrorNotice } from "../parts/error-notice";
import { declaredParams, parseParams } from "./start-params";

function ParamField(props: { param: Param }) {
  const one = () => props.param;
  const name = () => `param-${one().name}`;
  return (
    <label>
      {one().name}
      <Show
        when={one().choices.length > 0 || one().type === "boolean"}
        fallback={<input name={name()} required={one().default === null} placeholder={one().default ?? ""} autocomplete="off" spellcheck={false} />}
      >
        <select name={name()}>
          <For each={one().choices.length > 0 ? one().choices : ["true", "false"]}>
            {(choice) => (
              <option value={choice} selected={choice === one().default}>
                {choice}
              </option>
            )}
          </For>
        </select>
      </Show>
      <Show when={one().description}>{(text) => <span class="quiet">{text()}</span>}</Show>
    </label>
  );
}

export function StartDialog(props: { name: string; params: readonly Param[]; onClose: () => void }) {
  const navigate = useNavigate();
  const form = createForm(async (fields) => {
    const params = { ...parseParams(String(fields.get("params") ?? "")), ...declaredParams(fields, props.params) };
    const body = { ref: String(fields.get("ref") ?? "").trim(), params };
    const job = await write<Job>("POST", pipelinePath(props.name, "/jobs"), body);
    props.onClose();
    navigate(`/jobs/${job.id}`);
  });
  return (
    <Dialog title={`Start ${props.name}`} onClose={props.onClose}>
      <form class="form" onSubmit={(event) => void form.submit(event)}>
        <label>
          Branch, tag or commit
          <input name="ref" placeholder="the default branch" autocomplete="off" spellcheck={false} />
        </label>
        <For
          each={props.params}
          fallback={
            <label>
              Parameters
              <textarea name="params" rows="3" placeholder="NAME=value, one per line" spellcheck={false} />
            </label>
          }
        >
          {(param) => <ParamField param={param} />}
        </For>
        <Show when={form.problem()}>{(problem) => <ErrorNotice problem={problem()} />}</Show>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={() => props.onClose()}>
            Cancel
          </button>
          <button type="submit" class="button is-primary" disabled={form.busy()}>
            Start run
          </button>
        </div>
      </form>
    </Dialog>
  );
}
