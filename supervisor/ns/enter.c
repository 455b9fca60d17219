/* The verb `enter`: a program in a holder's namespaces. */
#define _GNU_SOURCE
#include "enter.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "checked.h"
#include "detach.h"
#include "namespaces.h"
#include "oom-score.h"
#include "overlay.h"
#include "owners.h"

#define MAX_STAGES 64

/* A container's changes are deleted with its pod, so they are never synced. The kernel mounts such an upper directory once. */
#define NEVER_SYNCED ",volatile"

/* uid_map, gid_map: NULL for a source whose owners are shown as they are. */
struct stage {
    const char *source, *uid_map, *gid_map;
};

/* overlay: the four words after --overlay, or NULL. program: what follows --. */
struct entry {
    struct stage stages[MAX_STAGES];
    char **overlay, **program;
    int stage_count;
};

/* NAME=VALUE; unknown names are ignored. Where this process may not have so much, it keeps the lower limit that it has. */
static void set_limit(const char *word) {
    static const struct {
        const char *name;
        int resource;
    } known[] = {{"as=", RLIMIT_AS}, {"nproc=", RLIMIT_NPROC}, {"nofile=", RLIMIT_NOFILE}, {"core=", RLIMIT_CORE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(word, known[i].name, strlen(known[i].name)) == 0) {
            rlim_t value = strtoull(word + strlen(known[i].name), NULL, 10);
            struct rlimit both = {value, value}, has;
            if (setrlimit(known[i].resource, &both) == 0)
                continue;
            if (errno != EPERM || getrlimit(known[i].resource, &has) < 0 || has.rlim_max > value)
                fail("limit %s", word);
            has.rlim_cur = has.rlim_max;
            if (setrlimit(known[i].resource, &has) < 0)
                fail("limit %s", word);
        }
}

/* Control groups and limits take effect at once. Returns 0, or -1 for wrong arguments. */
static int take_options(char **words, struct entry *out) {
    *out = (struct entry){.overlay = NULL};
    for (; *words && strcmp(*words, "--") != 0; words += 2) {
        if (!words[1])
            return -1;
        if (strcmp(words[0], "--cgroup") == 0)
            write_file(words[1], "0");
        else if (strcmp(words[0], "--stage") == 0 && out->stage_count < MAX_STAGES)
            out->stages[out->stage_count++].source = words[1];
        else if (strcmp(words[0], "--mapped") == 0 && words[2] && words[3] && out->stage_count < MAX_STAGES) {
            out->stages[out->stage_count++] = (struct stage){words[1], words[2], words[3]};
            words += 2;
        } else if (strcmp(words[0], "--rlimit") == 0)
            set_limit(words[1]);
        else if (strcmp(words[0], "--overlay") == 0 && words[2] && words[3] && words[4]) {
            out->overlay = words + 1;
            words += 3;
        } else
            return -1;
    }
    if (!*words || !words[1])
        return -1;
    out->program = words + 1;
    return 0;
}

static void bind_stages(const struct stage *stages, int count) {
    if (mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") < 0)
        fail("tmpfs on /mnt");
    for (int i = 0; i < count; i++) {
        const struct stage *one = stages + i;
        char target[32];
        struct stat kind;
        snprintf(target, sizeof target, "/mnt/%d", i);
        if (stat(one->source, &kind) < 0)
            fail("%s", one->source);
        int made = S_ISDIR(kind.st_mode) ? mkdir(target, 0755) : open(target, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
        if (made < 0)
            fail("%s", target);
        if (one->uid_map)
            mount_mapped(one->source, target, one->uid_map, one->gid_map);
        else if (mount(one->source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
            fail("bind %s", one->source);
    }
}

int enter(char **argv) {
    const char *holder = argv[0];
    int host_network = strcmp(argv[1], "host") == 0;
    struct entry entry;
    detach();
    raise_oom_score();
    if (take_options(argv + 2, &entry) < 0)
        return 2;
    int as_root = entry.stage_count > 0;
    if (as_root) {
        private_mounts();
        if (entry.overlay)
            mount_overlay(holder, 1, entry.overlay, NEVER_SYNCED);
        bind_stages(entry.stages, entry.stage_count);
    }
    join_namespaces(holder, !host_network); /* with the host's network there is none of the pod's to join */
    if (entry.overlay && !as_root) {
        private_mounts();
        mount_overlay(holder, 0, entry.overlay, NEVER_SYNCED);
    }
    become_program(entry.program);
}
