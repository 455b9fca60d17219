import { expect, test } from "vitest";
import type { ReportedTest } from "../src/api/types";
import { historyWords, placeOf, sortedTests } from "../src/pages/reported-tests";

const reported = (name: string, status: ReportedTest["status"], seconds = 1): ReportedTest => ({
  name, status, seconds, message: "", file: "", line: 0, is_flaky: false, history: [],
});

test("failed and flaky tests are named, and the slowest of the others", () => {
  const passed = Array.from({ length: 20 }, (_, n) => reported(`p${n}`, "passed"));
  const found = sortedTests([reported("f", "failed"), reported("k", "flaky"), ...passed, reported("fast", "passed", 0)]);
  expect(found.named.map((one) => one.name)).toEqual(["f", "k"]);
  expect(found.slowest.map((one) => one.name)).toEqual(passed.slice(0, 10).map((one) => one.name));
});

test("a test has its place and its history in words", () => {
  expect(placeOf({ file: "tests/a.py", line: 7 })).toBe("tests/a.py:7");
  expect(placeOf({ file: "tests/a.py", line: 0 })).toBe("tests/a.py");
  expect(historyWords({ history: [{ job: "2", failed: true }] })).toBe("no earlier job with a report");
  expect(historyWords({ history: [{ job: "2", failed: true }, { job: "1", failed: false }] })).toBe("failed in 1 of the last 2 jobs");
});
