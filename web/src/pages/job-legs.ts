/** Steps by the legs of a matrix, for the list of a job's steps. Pure. */
import type { Step, StepStatus } from "../api/types";

export type LegStep = Pick<Step, "sequence" | "name" | "leg" | "status" | "checked">;

export interface StepGroup {
  /** "" for steps that belong to no leg. */
  leg: string;
  status: StepStatus;
  sequences: number[];
}

/** A leg's steps together, where its first step is; the others in their order between them. */
export function groupLegs(steps: readonly LegStep[]): StepGroup[] {
  const groups: StepGroup[] = [];
  const byLeg = new Map<string, LegStep[]>();
  for (const step of steps) {
    const last = groups.at(-1);
    if (!step.leg) {
      if (last && !last.leg) last.sequences.push(step.sequence);
      else groups.push({ leg: "", status: step.status, sequences: [step.sequence] });
      continue;
    }
    const known = byLeg.get(step.leg);
    if (known) known.push(step);
    else {
      byLeg.set(step.leg, [step]);
      groups.push({ leg: step.leg, status: step.status, sequences: [] });
    }
  }
  for (const group of groups) {
    const own = byLeg.get(group.leg);
    if (!own) continue;
    group.sequences = own.map((step) => step.sequence);
    group.status = legStatus(own);
  }
  return groups;
}

/** The status of a leg: what is worst of its steps that count, or that it still runs. */
function legStatus(steps: readonly LegStep[]): StepStatus {
  const counting = steps.filter((step) => step.checked || step.status === "running" || step.status === "pending");
  const found = new Set(counting.map((step) => step.status));
  const worst: StepStatus[] = ["failure", "timeout", "cancelled", "running", "pending"];
  return worst.find((status) => found.has(status)) ?? "success";
}

/** A step's name below the heading of its leg, which it begins with. */
export function nameInLeg(step: Pick<Step, "name" | "leg">): string {
  const prefix = `${step.leg}: `;
  return step.leg && step.name.startsWith(prefix) ? step.name.slice(prefix.length) : step.name;
}
