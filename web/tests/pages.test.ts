import { describe, expect, test } from "vitest";
import type { Approval, Job, Param, Run } from "../src/api/types";
import { byStep, destinationName, missingRules, stepTitle } from "../src/pages/egress-ledger";
import { stepFacts, stepSpan } from "../src/pages/job-timeline";
import { byTeam, healthOf, matching } from "../src/pages/overview-list";
import { branchesOf, isFiltered, matchesFilter } from "../src/pages/run-filter";
import { isRemoved, keptSentence } from "../src/pages/kept-files";
import { noticeOf } from "../src/pages/secret-notice";
import { declaredParams, parseParams } from "../src/pages/start-params";
import { columns, durationLabel, timeLabel } from "../src/parts/chart-data";
import { approvalSentence, commitTitle, jobSentence, startedBy } from "../src/parts/job-sentences";
import { destinationOf, jobOf, pipelineOf, stepOf, triggerOf } from "./records";

const at = Date.parse("2026-01-01T00:01:40Z");
const second = (seconds: number): string => new Date(Date.parse("2026-01-01T00:00:00Z") + seconds * 1000).toISOString();

describe("the timeline of a job", () => {
  const job = { created_at: second(0), started_at: second(20), finished_at: second(120) };

  test("places a step by its begin and its length", () => {
    expect(stepSpan({ started_at: second(45), finished_at: second(70) }, job, at)).toEqual({ left: 0.25, width: 0.25 });
  });

  test("ends with now while the step runs, and never beyond the job", () => {
    const running = { ...job, finished_at: null };
    expect(stepSpan({ started_at: second(60), finished_at: null }, running, at)).toEqual({ left: 0.5, width: 0.5 });
    expect(stepSpan({ started_at: second(110), finished_at: second(400) }, job, at).width).toBeCloseTo(0.1);
  });

  test("has nothing of a step that has not started", () => {
    expect(stepSpan({ started_at: null, finished_at: null }, job, at)).toEqual({ left: 1, width: 0 });
  });

  test("has a step's facts as text", () => {
    expect(stepFacts(stepOf(1))).toBe("step 1 · alpine:3");
    const step = stepOf(2, { exit_code: 3, retries: 2, attempt: 2, peak_memory_bytes: 1_400_000, cpu_seconds: 2 });
    expect(stepFacts(step)).toBe("step 2 · alpine:3 · exit code 3 · attempt 2 of 3 · 1.4 MB of memory · 2.0 s of CPU time");
  });
});

describe("the files of a job", () => {
  const state = { kept_by: "", log_removed_at: null, artifacts_removed_at: null };
  const removed = second(0);

  test("are kept by a user, or removed when they are due", () => {
    expect(keptSentence(state)).toBe("Removed when they are due.");
    expect(keptSentence({ ...state, kept_by: "alice" })).toBe("Kept by alice, whatever their age.");
  });

  test("that were removed are named", () => {
    expect(keptSentence({ ...state, artifacts_removed_at: removed })).toBe("Removed when they are due. Removed already: artifacts.");
    expect(keptSentence({ kept_by: "alice", log_removed_at: removed, artifacts_removed_at: removed })).toContain("Removed already: log and artifacts.");
  });

  test("can be kept as long as one of them is left", () => {
    expect(isRemoved({ ...state, log_removed_at: removed })).toBe(false);
    expect(isRemoved({ kept_by: "", log_removed_at: removed, artifacts_removed_at: removed })).toBe(true);
  });
});

describe("an egress ledger", () => {
  test("is grouped by step, unknown steps first", () => {
    const groups = byStep([destinationOf({ step: 2 }), destinationOf({ step: null }), destinationOf({ step: 0 }), destinationOf({ step: 2, host: "b" })]);
    expect(groups.map(([step, destinations]) => [step, destinations.length])).toEqual([[null, 1], [0, 1], [2, 2]]);
  });

  test("proposes each missing rule once, of refused destinations only", () => {
    const refused = destinationOf({ verdict: "refused", allow: ["b.test", "c.test"] });
    expect(missingRules([destinationOf({ allow: ["a.test"] }), refused, refused])).toEqual(["b.test", "c.test"]);
  });

  test("names steps and destinations", () => {
    expect([null, 0, 1, 7].map((step) => stepTitle(step, [stepOf(1, { name: "Build" })]))).toEqual(["Unknown step", "danubefile", "Build", "Step 7"]);
    expect(destinationName(destinationOf())).toBe("example.org:443");
    expect(destinationName(destinationOf({ host: "", way: "raw-socket" }))).toBe("raw socket");
    expect(destinationName(destinationOf({ host: "" }))).toBe("unknown destination");
  });
});

describe("the overview", () => {
  const run = (status: Run["status"]): Run => ({ ...jobOf("1", { status }), branch: "main" }) as unknown as Run;
  const pipelines = [
    pipelineOf("web", { team: "front", newest: [run("failure"), run("success")] }),
    pipelineOf("api", { newest: [run("running"), run("failure")] }),
    pipelineOf("old", { removed: true }),
    pipelineOf("new"),
  ];

  test("lists pipelines that contain every word, but no removed ones", () => {
    expect(matching(pipelines, "").map((one) => one.name)).toEqual(["web", "api", "new"]);
    expect(matching(pipelines, "CORE  forge").map((one) => one.name)).toEqual(["api", "new"]);
    expect(matching(pipelines, "old")).toEqual([]);
  });

  test("is grouped by team", () => {
    expect(byTeam(pipelines).map(([team, all]) => [team, all.map((one) => one.name)])).toEqual([["core", ["api", "old", "new"]], ["front", ["web"]]]);
  });

  test("judges by the newest run: a failure counts more than a running job", () => {
    expect(healthOf(pipelines)).toEqual({ failing: 1, running: 1, status: "failure" });
    expect(healthOf(pipelines.slice(1))).toEqual({ failing: 0, running: 1, status: "running" });
    expect(healthOf([pipelineOf("new")]).status).toBe("success");
    expect(healthOf([]).status).toBeUndefined();
  });
});

describe("the filter of runs", () => {
  const filter = { pipeline: "app", status: "failure", branch: undefined };

  test("matches pipeline, status and branch", () => {
    const failed = jobOf("1", { status: "failure" });
    expect(matchesFilter(filter, failed)).toBe(true);
    expect(matchesFilter(filter, jobOf("1"))).toBe(false);
    expect(matchesFilter(filter, { ...failed, pipeline: "other" })).toBe(false);
    expect(matchesFilter({ ...filter, branch: "main" }, failed)).toBe(true);
    expect(matchesFilter({ ...filter, branch: "next" }, failed)).toBe(false);
  });

  test("offers the branches that have runs", () => {
    const branches = ["main", "next", "", "main", "fix"].map((branch, id) => jobOf(String(id), { trigger: triggerOf({ branch }) }));
    expect(branchesOf(branches)).toEqual(["fix", "main", "next"]);
    expect([isFiltered(filter), isFiltered({ ...filter, status: "" })]).toEqual([true, false]);
  });
});

describe("parameters of a run", () => {
  test("are lines with an equals sign, of which only the first one separates", () => {
    expect(parseParams("WHO = me\nWHAT=a=b\n\nno sign\n=no name")).toEqual({ WHO: "me", WHAT: "a=b" });
  });

  test("that are declared are sent when they are filled in or have no default", () => {
    const params = [{ name: "a", default: null }, { name: "b", default: "1" }, { name: "c", default: "1" }] as Param[];
    const fields = new FormData();
    fields.set("param-b", "2");
    expect(declaredParams(fields, params)).toEqual({ a: "", b: "2" });
  });
});

describe("the chart", () => {
  test("has finished runs, oldest first, successful ones apart", () => {
    const ran = (id: string, status: Job["status"], seconds: number): Job =>
      jobOf(id, { status, created_at: second(Number(id)), started_at: second(10), finished_at: second(10 + seconds) });
    const begin = Date.parse(second(0)) / 1000;
    expect(columns([ran("3", "failure", 7), jobOf("2", { status: "running", started_at: second(1) }), ran("1", "success", 5)])).toEqual([
      [begin + 1, begin + 3],
      [5, null],
      [null, 7],
    ]);
  });

  test("labels its axes as exactly as they need", () => {
    expect([0, 1, 60, 90, 3600].map(durationLabel)).toEqual(["0 s", "1 s", "1 min", "1 min 30 s", "1 h 00 min"]);
    const noon = new Date(2026, 0, 2, 12, 30, 15).getTime() / 1000;
    expect([100, 5000, 100_000].map((span) => timeLabel(noon, span))).toEqual(["12:30:15", "12:30", "2 Jan"]);
  });
});

describe("sentences", () => {
  test("name the trigger and its actor", () => {
    expect(startedBy(triggerOf())).toBe("Started manually");
    expect(startedBy(triggerOf({ actor: "alice", rerun_of: "1" }))).toBe("Rerun by alice");
    expect(startedBy(triggerOf({ type: "cron" }))).toBe("Started on schedule");
    expect(startedBy(triggerOf({ type: "webhook", actor: "bob" }))).toBe("Pushed by bob");
  });

  test("name a commit, or the pull request it belongs to", () => {
    expect(commitTitle(triggerOf({ commit_message: "Fix it" }))).toBe("Fix it");
    expect(commitTitle(triggerOf({ pull_request: { title: "Please" } as never }))).toBe("Please");
    expect(commitTitle(triggerOf())).toBe("");
  });

  test("describe a job's state and cause", () => {
    const started = { started_at: second(0) };
    expect(jobSentence(jobOf("1"), at)).toBe("Waiting in the queue.");
    expect(jobSentence(jobOf("1", { reason: "approval-required" }), at)).toBe("Waiting for approval of this commit.");
    expect(jobSentence(jobOf("1", { status: "running", reason: "preparing" }), at)).toBe("Preparing its pod.");
    expect(jobSentence(jobOf("1", { status: "running", ...started }), at)).toBe("Running for 1 min 40 s.");
    expect(jobSentence(jobOf("1", { status: "success", ...started, finished_at: second(5) }), at)).toBe("Succeeded in 5.0 s.");
    expect(jobSentence(jobOf("1", { status: "failure", message: "step 2 failed." }), at)).toBe("step 2 failed.");
    expect(jobSentence(jobOf("1", { status: "cancelled", ...started, finished_at: second(5) }), at)).toBe("Ended after 5.0 s.");
  });
});

describe("a secret that was set", () => {
  test("is reported", () => {
    expect(noticeOf("TOKEN", { warnings: [] })).toEqual({ title: "TOKEN is set.", warnings: [] });
  });

  test("has the warnings of the server as sentences", () => {
    const stored = { warnings: ["the value is an ordinary word: logs will show *** there", "the value ends with a line break"] };
    expect(noticeOf("BRANCH", stored)).toEqual({
      title: "BRANCH is set, but",
      warnings: ["The value is an ordinary word: logs will show *** there.", "The value ends with a line break."],
    });
  });
});

describe("an approval of an environment", () => {
  const asked = { environment: "production", approvers: ["ops", "carol@example.com"], decided_by: "", reason: "" };
  const decided = { ...asked, decided_by: "bob@example.com", reason: "reviewed" };

  test("says who is awaited, and then who decided why", () => {
    const sentence = (state: string, one = decided): string => approvalSentence({ ...one, state } as Approval);
    expect(sentence("waiting", asked)).toBe("Waits for approval of production by ops, carol@example.com");
    expect(sentence("approved")).toBe("production approved by bob@example.com: reviewed; waits for a slot");
    expect(sentence("granted")).toBe("production approved by bob@example.com: reviewed");
    expect(sentence("rejected")).toBe("production rejected by bob@example.com: reviewed");
    expect(sentence("expired", asked)).toBe("No decision about production");
    expect(sentence("cancelled", asked)).toBe("production was not decided: the job was ended");
  });
});
