/** A chart of the durations of runs, one point each, coloured by result. The figures beside it give the same as text. */
import { createEffect, createMemo, onCleanup, onMount } from "solid-js";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Job } from "../api/types";
import { theme } from "../kit/theme";
import { columns, durationLabel, timeLabel } from "./chart-data";

const HEIGHT = 150;

export default function DurationChart(props: { jobs: readonly Job[] }) {
  let element!: HTMLDivElement;
  const data = createMemo(() => columns(props.jobs));
  onMount(() => {
    let chart: uPlot | undefined;
    const draw = (): void => {
      chart?.destroy();
      chart = new uPlot(options(element), data() as uPlot.AlignedData, element);
    };
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", draw);
    const observer = new ResizeObserver(() => chart?.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
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
  return <div class="chart" ref={element} role="img" aria-label={`Durations of the last ${data()[0].length} runs`} />;
}

function options(element: HTMLElement): uPlot.Options {
  const style = getComputedStyle(element);
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
    width: element.clientWidth || 300,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_chart, _low, high) => [0, Math.max(1, high * 1.1)] } },
    axes: [
      { ...axis, space: 70, values: (_chart, values) => values.map((value) => timeLabel(value, (values.at(-1) ?? 0) - (values[0] ?? 0))) },
      { ...axis, size: 56, values: (_chart, values) => values.map((value) => durationLabel(value)) },
    ],
    series: [{}, points("--good"), points("--bad")],
  };
}
