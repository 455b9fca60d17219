/* Mounts that show other owners than those on the disk, and the verb `map`. */
#ifndef DANUBE_OWNERS_H
#define DANUBE_OWNERS_H

/* Mounts `source` at `target`: an id on the disk is shown as the id that it has outside of the user namespace `namespace`, a
 * descriptor. Linux 5.12. */
void mount_with_owners(int namespace, const char *source, const char *target);

/* The same with maps of users and groups, `ON_DISK SHOWN COUNT` for each range, as lines. */
void mount_mapped(const char *source, const char *target, const char *uid_map, const char *gid_map);

/* The verb: SOURCE TARGET UID_MAP GID_MAP. Only tries it. */
int try_map(char **argv);

#endif
