/* Whether ports can be reached from this container: the canaries of a network's policy. */
#pragma once

/* Connects to each `ADDRESS:PORT` at once, ADDRESS an IPv4 address or [IPv6], and prints a line for each in the order
 * given: the target, a space, and `open`, `refused` (the answer is that it is closed), `silent` (no answer within
 * the time) or `unreachable` (this container has no way there). Nothing is sent. Returns an exit code: 0, or 2 for
 * words that are not targets, or too many. */
int reach(const char *milliseconds, char **targets);
