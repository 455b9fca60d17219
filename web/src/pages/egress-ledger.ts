/** The destinations of an egress ledger, grouped and named. Pure. */
import type { Destination, Step } from "../api/types";

/** Destinations by step in the order of the steps; connections without a known step come first. */
export function byStep(destinations: readonly Destination[]): [number | null, Destination[]][] {
  const groups = new Map<number | null, Destination[]>();
  for (const one of destinations) groups.set(one.step, [...(groups.get(one.step) ?? []), one]);
  return [...groups].sort(([a], [b]) => (a ?? -1) - (b ?? -1));
}

/** The allowlist entries that would permit what was refused, each once. */
export function missingRules(destinations: readonly Destination[]): string[] {
  return [...new Set(destinations.filter((one) => one.verdict === "refused").flatMap((one) => one.allow))];
}

export function stepTitle(step: number | null, steps: readonly Pick<Step, "sequence" | "name">[]): string {
  if (step === null) return "Unknown step";
  return step === 0 ? "danubefile" : (steps.find((one) => one.sequence === step)?.name ?? `Step ${step}`);
}

export function destinationName(one: Pick<Destination, "host" | "port" | "way">): string {
  if (one.host) return `${one.host}:${one.port}`;
  return one.way === "raw-socket" ? "raw socket" : "unknown destination";
}
