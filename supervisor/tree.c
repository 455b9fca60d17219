/* Processes by their descent, read from /proc: who is below an ancestor, and a signal to each of them. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "step.h"

struct process {
    pid_t pid, parent;
    int below;
};

static pid_t parent_of(const char *pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t size = read(fd, text, sizeof text - 1);
    close(fd);
    if (size <= 0)
        return -1;
    text[size] = 0;
    char *name_end = strrchr(text, ')'); /* the name may hold anything, also brackets */
    if (!name_end || name_end[1] == 0)
        return -1;
    char *at = name_end + 2; /* "S 123": the state, then the parent */
    return name_end[2] == 'Z' ? -1 : (pid_t)strtol(at + 1, NULL, 10);
}

static size_t snapshot(struct process **out) {
    size_t count = 0, room = 0;
    struct process *found = NULL;
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        pid_t parent = parent_of(entry->d_name);
        if (parent < 0)
            continue;
        if (count == room) {
            room = room ? room * 2 : 64;
            struct process *grown = realloc(found, room * sizeof *grown);
            if (!grown)
                break;
            found = grown;
        }
        found[count++] = (struct process){(pid_t)strtol(entry->d_name, NULL, 10), parent, 0};
    }
    closedir(proc);
    *out = found;
    return count;
}

/* Sends to every descendant that `choose` (NULL: all) wants; a chosen-away process hides what is below it too.
 * The answer is how many there were. */
size_t signal_descendants(pid_t ancestor, int number, chosen choose, void *context) {
    struct process *all = NULL;
    size_t count = snapshot(&all), sent = 0;
    for (int grew = 1; grew;) {
        grew = 0;
        for (size_t i = 0; i < count; i++) {
            if (all[i].below || all[i].pid == ancestor || (choose && !choose(all[i].pid, context)))
                continue;
            int below = all[i].parent == ancestor;
            for (size_t j = 0; !below && j < count; j++)
                below = all[j].below && all[j].pid == all[i].parent;
            if (below)
                all[i].below = grew = 1;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (all[i].below && kill(all[i].pid, number) == 0)
            sent++;
    free(all);
    return sent;
}
