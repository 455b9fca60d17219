/** Starting a pipeline by hand: what to build, and with which parameters. */
import { useNavigate } from "@solidjs/router";
import { For, Show } from "solid-js";
import { pipelinePath, write } from "../api/client";
import type { Job, Param } from "../api/types";
import { createForm } from "../parts/action";
import { Dialog } from "../parts/dialog";
import { Refused } from "../parts/refused";

/** `NAME=VALUE` a line. */
export function parseParams(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const line of text.split("\n")) {
    const at = line.indexOf("=");
    if (at > 0) found[line.slice(0, at).trim()] = line.slice(at + 1).trim();
  }
  return found;
}

/** Fields of declared parameters, beside what was typed freely. */
export function declaredParams(fields: FormData, params: readonly Param[]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const one of params) {
    const value = String(fields.get(`param-${one.name}`) ?? "");
    if (value !== "" || one.default === null) found[one.name] = value;
  }
  return found;
}

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
              <textarea name="params" rows="3" placeholder="NAME=value, one a line" spellcheck={false} />
            </label>
          }
        >
          {(param) => <ParamField param={param} />}
        </For>
        <Show when={form.problem()}>{(problem) => <Refused problem={problem()} />}</Show>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={() => props.onClose()}>
            Not now
          </button>
          <button type="submit" class="button is-primary" disabled={form.busy()}>
            Start
          </button>
        </div>
      </form>
    </Dialog>
  );
}
