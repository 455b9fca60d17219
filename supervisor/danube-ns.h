/* What the two files of danube-ns have of each other. */
#ifndef DANUBE_NS_H
#define DANUBE_NS_H

#include <sys/types.h>

/* Says what failed and why on standard error, and ends. */
void fail(const char *format, ...) __attribute__((noreturn));
void write_file(const char *path, const char *text);

/* Writes the maps of a process that has made a user namespace. own: the caller's one id is mapped, which needs that no group
 * can be dropped. */
void map_ids(pid_t pid, int own, const char *uid_map, const char *gid_map);

/* The verb `within`. */
int within(char **argv);

#endif
