/** News of one job may come by two streams and by an answer, in any order. A job that has ended does not go on. */
import type { Status } from "./types";

export const isOver = (status: Status): boolean => status !== "pending" && status !== "running";

const ORDER: Record<Status, number> = { pending: 0, running: 1, success: 2, failure: 2, cancelled: 2, timeout: 2 };

/** Whether news with this status is older than what is known. */
export function isStale(known: Status, news: Status): boolean {
  return ORDER[news] < ORDER[known];
}
