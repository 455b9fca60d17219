/** Exponential backoff with jitter and an upper bound, so that a thousand pages do not reconnect in the same instant. */
export class Backoff {
  private wait: number;

  constructor(
    private readonly firstMs: number,
    private readonly longestMs: number,
    private readonly random: () => number = Math.random,
  ) {
    this.wait = firstMs;
  }

  next(): number {
    const now = this.wait * (0.75 + this.random() / 2);
    this.wait = Math.min(this.longestMs, this.wait * 2);
    return now;
  }

  reset(): void {
    this.wait = this.firstMs;
  }
}
