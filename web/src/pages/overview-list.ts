/** The overview's figures and groups. Pure. */
import type { Pipeline, Status } from "../api/types";

/** The pipelines whose name, team or repository contains every word of the query. Removed ones are never listed. */
export function matching(pipelines: readonly Pipeline[], query: string): Pipeline[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return pipelines.filter((one) => {
    const text = `${one.name} ${one.team} ${one.repository}`.toLowerCase();
    return !one.removed && words.every((word) => text.includes(word));
  });
}

/** Pipelines by team, in the order of the teams' names. */
export function byTeam(pipelines: readonly Pipeline[]): [string, Pipeline[]][] {
  const groups = new Map<string, Pipeline[]>();
  for (const one of pipelines) groups.set(one.team, [...(groups.get(one.team) ?? []), one]);
  return [...groups].sort(([a], [b]) => a.localeCompare(b));
}

export interface Health {
  failing: number;
  running: number;
  /** undefined without pipelines. */
  status: Status | undefined;
}

/** How many pipelines fail and run, judged by the newest run of each. */
export function healthOf(pipelines: readonly Pipeline[]): Health {
  const newest = pipelines.map((one) => one.newest[0]?.status);
  const failing = newest.filter((status) => status === "failure" || status === "timeout").length;
  const running = newest.filter((status) => status === "running").length;
  if (failing > 0) return { failing, running, status: "failure" };
  if (running > 0) return { failing, running, status: "running" };
  return { failing, running, status: pipelines.length > 0 ? "success" : undefined };
}
