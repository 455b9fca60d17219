/* Processes by descent, read from /proc. */
#ifndef DANUBE_PROCESS_TREE_H
#define DANUBE_PROCESS_TREE_H

#include <stddef.h>
#include <sys/types.h>

typedef int (*process_filter)(pid_t pid, void *context);

/* Sends a signal to every descendant of a process that `filter` accepts (NULL: to all). The descendants of a rejected process
 * are skipped with it. Returns the number of processes that got the signal. */
size_t signal_descendants(pid_t ancestor, int number, process_filter filter, void *context);

/* Sends SIGSTOP to every such descendant. Returns how many were executing when they were listed: none in two calls in a row
 * means that all are stopped, since what is stopped forks nothing. */
size_t stop_descendants(pid_t ancestor, process_filter filter, void *context);

#endif
