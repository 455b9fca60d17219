import { expect, test } from "vitest";
import { groupLegs, nameInLeg, type LegStep } from "../src/pages/job-legs";

const step = (sequence: number, leg: string, status: LegStep["status"] = "success", checked = true): LegStep => ({
  sequence, leg, status, checked, name: leg ? `${leg}: Tests` : "Tests",
});

test("the steps of a leg are together, where its first one is", () => {
  const steps = [step(1, ""), step(2, "n=1"), step(3, "n=2"), step(4, "n=1"), step(5, "n=2"), step(6, ""), step(7, "")];
  expect(groupLegs(steps).map((group) => [group.leg, group.sequences])).toEqual([
    ["", [1]], ["n=1", [2, 4]], ["n=2", [3, 5]], ["", [6, 7]],
  ]);
});

test("a leg has the worst status of the steps that count", () => {
  const status = (...steps: LegStep[]) => groupLegs(steps)[0]?.status;
  expect(status(step(1, "n=1"), step(2, "n=1"))).toBe("success");
  expect(status(step(1, "n=1"), step(2, "n=1", "running"))).toBe("running");
  expect(status(step(1, "n=1", "failure"), step(2, "n=1", "running"))).toBe("failure");
  expect(status(step(1, "n=1", "failure", false), step(2, "n=1"))).toBe("success");
});

test("below its leg a step has the name that the danubefile gives it", () => {
  expect(nameInLeg({ leg: "n=1", name: "n=1: Tests" })).toBe("Tests");
  expect(nameInLeg({ leg: "", name: "n=1: Tests" })).toBe("n=1: Tests");
});
