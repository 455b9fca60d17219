/* The user's cache, `danube` in $XDG_CACHE_HOME or ~/.cache: one directory for each version that was started, named by the
 * hash of its content. The launcher of a zipapp (build_steps/launcher.py) uses the same one, with the same lock. */
#pragma once

#define PLACE_HINT "set XDG_CACHE_HOME to a directory of your own, on a disk that may hold programs"
#define UNPACK_HINT "make room there, or set XDG_CACHE_HOME to a directory of your own on another disk"

/* The name of the incomplete tree. Only the holder of the lock has one, so an existing one was left by a killed start. */
#define UNFINISHED "new"

/* The path of the cache, which exists and belongs to this user alone; any other is refused. */
const char *open_cache(void);

/* `DIRECTORY/NAME`, in memory that is never freed. */
char *join(const char *directory, const char *name);

/* Waits until no other process unpacks into this cache. Held until the process ends or becomes another program. */
void lock_cache(const char *place);

/* Refuses a cache whose programs the kernel would not start. */
void refuse_noexec(const char *place);

/* Removes a tree, if it exists. */
void remove_tree(const char *path);
