/** Reported tests for the job's page: which are shown, where they are, what they did before. Pure. */
import type { ReportedTest } from "../api/types";

const SLOWEST = 10;

/** Failed and flaky tests in the order of the answer, and the slowest of the others that take time at all. */
export function sortedTests(tests: readonly ReportedTest[]): { named: ReportedTest[]; slowest: ReportedTest[] } {
  const named = tests.filter((test) => test.status !== "passed");
  const slowest = tests.filter((test) => test.status === "passed" && test.seconds >= 0.01).slice(0, SLOWEST);
  return { named, slowest };
}

/** "tests/a.py:7"; "" where the report does not say. */
export function placeOf(test: Pick<ReportedTest, "file" | "line">): string {
  return test.file && test.line ? `${test.file}:${test.line}` : test.file;
}

/** "failed in 2 of the last 5 jobs". The history begins with the job that is shown. */
export function historyWords(test: Pick<ReportedTest, "history">): string {
  const jobs = test.history.length;
  if (jobs < 2) return "no earlier job with a report";
  const failed = test.history.filter((one) => one.failed).length;
  return `failed in ${failed} of the last ${jobs} jobs`;
}
