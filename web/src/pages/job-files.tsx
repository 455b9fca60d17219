/** Whether the files of a finished job stay whatever their age, and the button that decides it. */
import { Show } from "solid-js";
import { jobPath, write } from "../api/client";
import { createData } from "../api/data";
import { isFinished } from "../api/merging";
import type { JobDetail, JobRetention } from "../api/types";
import { Action } from "../parts/action";
import { isRemoved, keptSentence } from "./kept-files";

export function JobFiles(props: { job: JobDetail }) {
  const path = () => jobPath(props.job.id, "/keep");
  const state = createData<JobRetention>(() => (isFinished(props.job.status) ? path() : undefined));
  async function set(keep: boolean): Promise<void> {
    const next = await write<JobRetention>(keep ? "PUT" : "DELETE", path());
    state.change(() => next);
  }
  return (
    <Show when={state.value()}>
      {(found) => (
        <section class="job-files">
          <h2>Log and artifacts</h2>
          <p class="quiet">{keptSentence(found())}</p>
          <Show when={props.job.may.includes("keep") && (found().kept_by || !isRemoved(found()))}>
            <Show when={found().kept_by} fallback={<Action act={() => set(true)}>Keep files</Action>}>
              <Action act={() => set(false)}>Stop keeping files</Action>
            </Show>
          </Show>
        </section>
      )}
    </Show>
  );
}
