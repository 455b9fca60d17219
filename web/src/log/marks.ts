/** Ticks beside the scroll bar, at the matches of a search. */

/** Draws a tick at each fraction of the height; `current` in another colour. Colours come from the element's style. */
export function drawMarks(canvas: HTMLCanvasElement, fractions: readonly number[], current: number | undefined): void {
  const ratio = devicePixelRatio || 1;
  const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.clearRect(0, 0, width, height);
  const style = getComputedStyle(canvas);
  const tick = Math.max(2, Math.round(2 * ratio));
  const top = (fraction: number): number => Math.min(height - tick, Math.round(fraction * (height - tick)));
  context.fillStyle = style.getPropertyValue("--hit-mark").trim() || "orange";
  for (const fraction of fractions) context.fillRect(0, top(fraction), width, tick);
  if (current === undefined) return;
  context.fillStyle = style.getPropertyValue("--hit-current").trim() || "red";
  context.fillRect(0, top(current) - 1, width, tick + 2);
}
