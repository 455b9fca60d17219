import { describe, expect, test } from "vitest";
import { isFinished, isStale, mergeJob, mergeJobPage, mergeOverview, mergeStep, OVERVIEW_RUNS } from "../src/api/merging";
import type { Job, PipelinePage, Run } from "../src/api/types";
import { detailOf, jobOf, pipelineOf, stepOf } from "./records";

test("an older status is stale, the same or a newer one is not", () => {
  expect(isStale("cancelled", "running")).toBe(true);
  expect(isStale("running", "pending")).toBe(true);
  expect(isStale("pending", "running")).toBe(false);
  expect(isStale("running", "success")).toBe(false);
  expect(isStale("running", "running")).toBe(false);
  expect([isFinished("pending"), isFinished("running"), isFinished("timeout")]).toEqual([false, false, true]);
});

describe("a job with a change", () => {
  test("has the change, but keeps what only the first response knows", () => {
    const merged = mergeJob(detailOf(), { status: "running", message: "step 1", may: [], commit_url: "" });
    expect(merged).toMatchObject({ status: "running", message: "step 1", may: ["cancel"], commit_url: "https://forge.example.org/c/1" });
  });

  test("stays finished when an older status arrives late", () => {
    const job = detailOf({ status: "success" });
    expect(mergeJob(job, { status: "running" })).toBe(job);
  });

  test("has its steps in order, each once", () => {
    const job = detailOf({ steps: [stepOf(1), stepOf(3)] });
    expect(mergeStep(job, stepOf(2)).steps.map((one) => one.sequence)).toEqual([1, 2, 3]);
    expect(mergeStep(job, stepOf(3, { status: "failure" })).steps.map((one) => one.status)).toEqual(["success", "failure"]);
  });
});

describe("a page of jobs with a changed one", () => {
  const page = { jobs: [jobOf("3"), jobOf("1")], cursor: "next" };
  const all = (): boolean => true;
  const pending = (job: Job): boolean => job.status === "pending";

  test("has a new job in its place, newest first, and keeps its cursor", () => {
    const merged = mergeJobPage(page, jobOf("2"), all);
    expect(merged.jobs.map((one) => one.id)).toEqual(["3", "2", "1"]);
    expect(merged.cursor).toBe("next");
  });

  test("loses a job that does not match the filter any more", () => {
    expect(mergeJobPage(page, jobOf("3", { status: "running" }), pending).jobs.map((one) => one.id)).toEqual(["1"]);
  });

  test("is the same object when nothing changes", () => {
    expect(mergeJobPage(page, jobOf("9", { status: "running" }), pending)).toBe(page);
    const finished = { jobs: [jobOf("1", { status: "success" })], cursor: null };
    expect(mergeJobPage(finished, jobOf("1", { status: "running" }), all)).toBe(finished);
  });
});

describe("the overview with a changed job", () => {
  const run = (id: string): Run => ({ ...jobOf(id), branch: "main" }) as unknown as Run;
  const page = { pipelines: [pipelineOf("app", { newest: [run("2"), run("1")] }), pipelineOf("other")] } as PipelinePage;

  test("has it among the runs of its pipeline, and other pipelines unchanged", () => {
    const merged = mergeOverview(page, jobOf("3", { status: "running" }));
    expect(merged.pipelines[0]?.newest.map((one) => one.id)).toEqual(["3", "2", "1"]);
    expect(merged.pipelines[1]).toBe(page.pipelines[1]);
  });

  test("keeps a bounded number of runs", () => {
    const newest = Array.from({ length: OVERVIEW_RUNS }, (_, at) => run(String(50 - at)));
    const merged = mergeOverview({ pipelines: [pipelineOf("app", { newest })] } as PipelinePage, jobOf("60"));
    expect(merged.pipelines[0]?.newest).toHaveLength(OVERVIEW_RUNS);
    expect(merged.pipelines[0]?.newest[0]?.id).toBe("60");
  });

  test("ignores a stale status", () => {
    const finished = { pipelines: [pipelineOf("app", { newest: [{ ...run("1"), status: "failure" }] })] } as PipelinePage;
    expect(mergeOverview(finished, jobOf("1", { status: "running" })).pipelines[0]).toBe(finished.pipelines[0]);
  });
});
