import { expect, test } from "vitest";
import { isOver, isStale } from "../src/api/merging";

test("a job that has ended does not go on, whatever is heard late", () => {
  expect(isStale("cancelled", "running")).toBe(true);
  expect(isStale("running", "pending")).toBe(true);
  expect(isStale("pending", "running")).toBe(false);
  expect(isStale("running", "success")).toBe(false);
  expect(isStale("running", "running")).toBe(false);
  expect([isOver("pending"), isOver("running"), isOver("timeout")]).toEqual([false, false, true]);
});
