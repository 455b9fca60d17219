/**
 * The scroll position in a list of up to millions of rows.
 *
 * Browsers limit an element's height (Firefox to 17.9 million pixels), so for long lists the scroll bar represents a fraction,
 * and the position is kept as the top row and an offset in pixels. Small moves (wheel, keys, touch) are applied in pixels, large
 * ones (a dragged scroll bar) as a fraction. Where rows differ in height, a small move needs the heights of the passed rows only.
 */

export const ROW_HEIGHT = 20;

/** Far below every browser's limit; a scroll bar has about a thousand distinct positions anyway. */
export const MAX_HEIGHT = 6_000_000;

/** A longer move in one event comes from dragging, not from a wheel. */
const JUMP_VIEWPORTS = 3;

export class ScrollPosition {
  row = 0;
  offset = 0;
  private rowCount = 0;
  private viewport = 0;
  private lastScrollTop = 0;

  /** `heightOf`: undefined if all rows have ROW_HEIGHT. */
  constructor(private heightOf: ((row: number) => number) | undefined = undefined) {}

  get rows(): number {
    return this.rowCount;
  }

  /** The height of the scrolled element. */
  get height(): number {
    return Math.min(MAX_HEIGHT, this.rowCount * ROW_HEIGHT);
  }

  /** Whether the scroll bar represents pixels, not a fraction. */
  private get isExact(): boolean {
    return this.heightOf === undefined && this.rowCount * ROW_HEIGHT <= MAX_HEIGHT;
  }

  resize(rows: number, viewport: number, heightOf: ((row: number) => number) | undefined): void {
    this.rowCount = rows;
    this.viewport = viewport;
    this.heightOf = heightOf;
    this.clamp();
  }

  /** Applies a scroll event of the browser. */
  scrolledTo(scrollTop: number): void {
    const delta = scrollTop - this.lastScrollTop;
    this.lastScrollTop = scrollTop;
    if (this.isExact) {
      this.row = Math.floor(scrollTop / ROW_HEIGHT);
      this.offset = scrollTop - this.row * ROW_HEIGHT;
      this.clamp();
    } else if (Math.abs(delta) > Math.max(this.viewport, 200) * JUMP_VIEWPORTS) {
      this.toFraction(scrollTop / Math.max(1, this.height - this.viewport));
    } else {
      this.moveBy(delta);
    }
  }

  /** The scrollTop for this position, and the reference of the next `scrolledTo`. */
  scrollTop(): number {
    const range = Math.max(0, this.height - this.viewport);
    this.lastScrollTop = this.isExact
      ? Math.min(range, this.row * ROW_HEIGHT + this.offset)
      : Math.round(this.fraction() * range);
    return this.lastScrollTop;
  }

  /** Sets the reference to the scrollTop that the browser reports, which may be rounded. */
  acknowledge(scrollTop: number): void {
    this.lastScrollTop = scrollTop;
  }

  /** Whether the browser has scrolled since the last known scrollTop. */
  hasMoved(scrollTop: number): boolean {
    return Math.abs(scrollTop - this.lastScrollTop) >= 1;
  }

  moveBy(pixels: number): void {
    this.offset += pixels;
    this.clamp();
  }

  /** Puts the row at the top, or a third down the viewport if there are enough rows above. */
  showRow(row: number, aThirdDown: boolean): void {
    this.row = Math.max(0, Math.min(row, this.rowCount - 1));
    this.offset = 0;
    if (aThirdDown) this.offset -= Math.floor(this.viewport / 3 / ROW_HEIGHT) * ROW_HEIGHT;
    this.clamp();
  }

  toEnd(): void {
    const end = this.endPosition();
    this.row = end.row;
    this.offset = end.offset;
  }

  get isAtEnd(): boolean {
    const end = this.endPosition();
    return this.row > end.row || (this.row === end.row && this.offset >= end.offset - 2);
  }

  get isAtStart(): boolean {
    return this.row === 0 && this.offset <= 0;
  }

  fraction(): number {
    const end = this.endPosition();
    const last = end.row + end.offset / this.rowHeight(end.row);
    return last <= 0 ? 0 : Math.min(1, (this.row + this.offset / this.rowHeight(this.row)) / last);
  }

  private toFraction(fraction: number): void {
    const end = this.endPosition();
    const last = end.row + end.offset / this.rowHeight(end.row);
    const row = Math.max(0, Math.min(1, fraction)) * last;
    this.row = Math.floor(row);
    this.offset = (row - this.row) * this.rowHeight(this.row);
    this.clamp();
  }

  private rowHeight(row: number): number {
    return this.heightOf ? this.heightOf(row) : ROW_HEIGHT;
  }

  /** The position with the last row at the bottom. */
  private endPosition(): { row: number; offset: number } {
    if (!this.heightOf) {
      const top = Math.max(0, this.rowCount * ROW_HEIGHT - this.viewport);
      return { row: Math.floor(top / ROW_HEIGHT), offset: top % ROW_HEIGHT };
    }
    let left = this.viewport;
    for (let row = this.rowCount - 1; row >= 0; row--) {
      left -= this.rowHeight(row);
      if (left <= 0) return { row, offset: -left };
    }
    return { row: 0, offset: 0 };
  }

  private clamp(): void {
    if (!this.heightOf) {
      const pixels = Math.max(0, this.row * ROW_HEIGHT + this.offset);
      this.row = Math.floor(pixels / ROW_HEIGHT);
      this.offset = pixels - this.row * ROW_HEIGHT;
    } else {
      while (this.offset < 0 && this.row > 0) {
        this.row--;
        this.offset += this.rowHeight(this.row);
      }
      while (this.row < this.rowCount - 1 && this.offset >= this.rowHeight(this.row)) {
        this.offset -= this.rowHeight(this.row);
        this.row++;
      }
    }
    const end = this.endPosition();
    if (this.row > end.row || (this.row === end.row && this.offset > end.offset)) {
      this.row = end.row;
      this.offset = end.offset;
    }
    if (this.row <= 0 && this.offset < 0) this.offset = 0;
    this.row = Math.max(0, this.row);
  }
}
