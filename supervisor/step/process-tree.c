/* Processes by descent; see the header. */
#include "process-tree.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
    pid_t pid, parent;
    char state; /* as in proc(5): T is stopped */
    int is_descendant;
};

/* The parent of a process, and its state; -1 for a zombie and for one that has ended. */
static pid_t parent_of(const char *pid, char *state) {
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
    char *name_end = strrchr(text, ')'); /* the name may contain anything, brackets included */
    if (!name_end || name_end[1] == 0)
        return -1;
    char *at = name_end + 2; /* "S 123": the state, then the parent */
    *state = *at;
    return name_end[2] == 'Z' ? -1 : (pid_t)strtol(at + 1, NULL, 10);
}

/* Every process of this namespace. Returns how many; the caller frees *out. */
static size_t snapshot(struct process **out) {
    size_t count = 0, room = 0;
    struct process *found = NULL;
    DIR *proc = opendir("/proc");
    if (!proc)
        return 0;
    for (struct dirent *entry; (entry = readdir(proc));) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        char state = 0;
        pid_t parent = parent_of(entry->d_name, &state);
        if (parent < 0)
            continue;
        if (count == room) {
            room = room ? room * 2 : 64;
            struct process *grown = realloc(found, room * sizeof *grown);
            if (!grown)
                break;
            found = grown;
        }
        found[count++] = (struct process){(pid_t)strtol(entry->d_name, NULL, 10), parent, state, 0};
    }
    closedir(proc);
    *out = found;
    return count;
}

/* Marks the descendants until a round finds no new one, since a child may be listed before its parent. */
static void mark_descendants(struct process *all, size_t count, pid_t ancestor, process_filter filter, void *context) {
    for (int grew = 1; grew;) {
        grew = 0;
        for (size_t i = 0; i < count; i++) {
            if (all[i].is_descendant || all[i].pid == ancestor || (filter && !filter(all[i].pid, context)))
                continue;
            int found = all[i].parent == ancestor;
            for (size_t j = 0; !found && j < count; j++)
                found = all[j].is_descendant && all[j].pid == all[i].parent;
            if (found)
                all[i].is_descendant = grew = 1;
        }
    }
}

size_t signal_descendants(pid_t ancestor, int number, process_filter filter, void *context) {
    struct process *all = NULL;
    size_t count = snapshot(&all), sent = 0;
    mark_descendants(all, count, ancestor, filter, context);
    for (size_t i = 0; i < count; i++)
        if (all[i].is_descendant && kill(all[i].pid, number) == 0)
            sent++;
    free(all);
    return sent;
}

/* Whether a process executes nothing of its own: it is stopped, or it waits for the kernel and stops before it returns. */
static int is_still(char state) { return state == 'T' || state == 't' || state == 'D'; }

size_t stop_descendants(pid_t ancestor, process_filter filter, void *context) {
    struct process *all = NULL;
    size_t count = snapshot(&all), running = 0;
    mark_descendants(all, count, ancestor, filter, context);
    for (size_t i = 0; i < count; i++) {
        if (!all[i].is_descendant)
            continue;
        running += !is_still(all[i].state);
        (void)!kill(all[i].pid, SIGSTOP);
    }
    free(all);
    return running;
}
