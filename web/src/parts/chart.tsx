/** How long runs took, one point each, by how they ended. Drawn on a canvas; the figures beside it say the same in words. */
import { createEffect, createMemo, onCleanup, onMount } from "solid-js";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Job } from "../api/types";
import { theme } from "../kit/theme";
import { duration, secondsBetween } from "../kit/time";

const HEIGHT = 150;

/** Columns for the chart: moments, then seconds of those that succeeded and of those that did not, oldest first. */
export function columns(jobs: readonly Job[]): [number[], (number | null)[], (number | null)[]] {
  const times: number[] = [];
  const good: (number | null)[] = [];
  const bad: (number | null)[] = [];
  for (const job of [...jobs].reverse()) {
    const seconds = job.finished_at ? secondsBetween(job.started_at, job.finished_at, 0) : null;
    if (seconds === null) continue;
    times.push(Date.parse(job.created_at) / 1000);
    good.push(job.status === "success" ? seconds : null);
    bad.push(job.status === "success" ? null : seconds);
  }
  return [times, good, bad];
}

export default function DurationChart(props: { jobs: readonly Job[] }) {
  let place!: HTMLDivElement;
  const data = createMemo(() => columns(props.jobs));
  onMount(() => {
    let chart: uPlot | undefined;
    const draw = (): void => {
      chart?.destroy();
      chart = new uPlot(options(place), data() as uPlot.AlignedData, place);
    };
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    const observer = new ResizeObserver(() => chart?.setSize({ width: place.clientWidth, height: HEIGHT }));
    observer.observe(place);
    createEffect(() => {
      theme();
      data();
      draw();
    });
    onCleanup(() => {
      system.removeEventListener("change", draw);
      observer.disconnect();
      chart?.destroy();
    });
  });
  return <div class="chart" ref={place} role="img" aria-label={`How long the last ${data()[0].length} runs took`} />;
}

const days = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const minutes = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const hours = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

/** As exact as the whole of the axis asks for. */
function moment(seconds: number, span: number): string {
  return (span > 86_400 ? days : span > 600 ? hours : minutes).format(new Date(seconds * 1000));
}

function options(place: HTMLElement): uPlot.Options {
  const style = getComputedStyle(place);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const points = (name: string): uPlot.Series => ({
    stroke: colour(name),
    width: 0,
    paths: () => null,
    points: { show: true, size: 6, fill: colour(name), width: 0 },
    spanGaps: false,
  });
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return {
    width: place.clientWidth || 300,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, space: 70, values: (_chart, values) => values.map((value) => moment(value, (values.at(-1) ?? 0) - (values[0] ?? 0))) },
      { ...axis, size: 56, values: (_chart, values) => values.map((value) => duration(value).replace(/\.0 s| 00 s/, (word) => (word === ".0 s" ? " s" : ""))) },
    ],
    series: [{}, points("--good"), points("--bad")],
  };
}
