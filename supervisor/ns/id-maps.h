/* The ids of a user namespace, and being root in one. */
#ifndef DANUBE_ID_MAPS_H
#define DANUBE_ID_MAPS_H

#include <sys/types.h>

/* Writes the maps of a process that has made a user namespace. A map is `INSIDE OUTSIDE COUNT`, or
 * `/PROGRAM INSIDE OUTSIDE COUNT ...` for a program that may write what this process may not (newuidmap, newgidmap).
 * own: the caller's single id is mapped, for which the kernel requires that no group can be dropped. */
void map_ids(pid_t pid, int own, const char *uid_map, const char *gid_map);

/* Becomes root of the namespace that this process is in. */
void become_root(void);

#endif
