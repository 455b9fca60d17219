/** Sizes and counts as text. */

/** "1.4 MB", in decimal units, as for disks and networks. */
export function bytes(amount: number | null): string {
  if (amount === null) return "–";
  let value = amount;
  for (const unit of ["B", "kB", "MB", "GB", "TB"]) {
    if (value < 1000 || unit === "TB") return `${unit === "B" || value >= 100 ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return "";
}

/** "1 job", "2 jobs", "1,204 jobs". */
export function count(amount: number, noun: string, nouns = `${noun}s`): string {
  return `${amount.toLocaleString("en")} ${amount === 1 ? noun : nouns}`;
}
