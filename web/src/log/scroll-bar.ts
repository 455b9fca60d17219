/** Keeps the browser's scroll bar and a scroll position in step. */
import type { ScrollPosition } from "./scrolling";

/** From the last scroll event until the scroll bar is corrected, so that a drag is not disturbed. */
const SETTLE_MS = 150;

export class ScrollBar {
  private element: HTMLElement | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** `onScroll` is called after the user has scrolled. */
  constructor(
    private readonly position: ScrollPosition,
    private readonly onScroll: (up: boolean) => void,
  ) {}

  attach(element: HTMLElement): void {
    this.element = element;
    element.addEventListener("scroll", this.scrolled, { passive: true });
  }

  detach(): void {
    this.element?.removeEventListener("scroll", this.scrolled);
    clearTimeout(this.timer);
  }

  /** After a jump of the program: the scroll bar is corrected at the next update. */
  cancelDelay(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  /** After a change of rows: corrects the scroll bar, unless the user is scrolling. */
  update(): void {
    if (this.element && this.timer === undefined) this.settle();
  }

  private settle(): void {
    this.timer = undefined;
    if (!this.element) return;
    if (this.position.hasMoved(this.element.scrollTop)) return this.scrolled(); // faster than the browser's event
    const wanted = this.position.scrollTop();
    if (Math.abs(this.element.scrollTop - wanted) >= 1) this.element.scrollTop = wanted;
    this.position.acknowledge(this.element.scrollTop);
  }

  private readonly scrolled = (): void => {
    if (!this.element || !this.position.hasMoved(this.element.scrollTop)) return;
    const { row, offset } = this.position;
    this.position.scrolledTo(this.element.scrollTop);
    this.onScroll(this.position.row < row || (this.position.row === row && this.position.offset < offset));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), SETTLE_MS);
  };
}
