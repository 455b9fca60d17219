/* A step's processes as PID 1 sees them; see the header.
 *
 * A step may kill its own reaper (`kill -9 -1`). Its command is then a child of PID 1, which does the reaper's work. */
#define _GNU_SOURCE
#include "step-processes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "exec.h"
#include "process-tree.h"
#include "reaper.h"
#include "report.h"
#include "step-output.h"

#define FREEZE_PASSES 50
#define FREEZE_PAUSE_MS 2
#define KILL_AGAIN_MS 100 /* until the tree has ended: a process may fork while the others are killed */

static void end_tree(struct step *s) {
    s->outcome.end.kind = REPORT_TREE_ENDED;
    s->outcome.wall_us = now_us() - s->started_us;
    s->tree_ended = 1;
    watch_end(&s->reports);
    raw_sockets_end(&s->raw_sockets);
    s->phase = DRAINING;
    spec_free(&s->spec);
    step_output_drain(s);
}

/* A filter for signal_descendants. Without the step's reaper, its processes are all that belong to nothing else. */
static int may_be_of_step(pid_t pid, void *context) {
    if (is_exec_child(pid))
        return 0;
    for (struct step *s = steps; s; s = s->next)
        if (s != context && s->phase == RUNNING && (pid == s->reaper || pid == s->command))
            return 0;
    return 1;
}

static size_t signal_step(struct step *s, int number) {
    if (!s->reaper_gone)
        return signal_descendants(s->reaper, number, NULL, NULL);
    return signal_descendants(getpid(), number, may_be_of_step, s);
}

/* Ends a step whose reaper was killed before it reported the end. */
static void replace_reaper(struct step *s) {
    if (s->tree_ended || !s->reaper_gone)
        return;
    if (s->command <= 0) {
        snprintf(s->outcome.end.error, sizeof s->outcome.end.error, "the step's reaper was killed before the command started");
        end_tree(s);
    } else if (s->command_reaped) {
        s->outcome.end.leftovers = (uint32_t)signal_step(s, SIGKILL);
        end_tree(s);
    }
}

static void receive_reports(struct watch *w, uint32_t events) {
    struct step *s = w->owner;
    struct report r;
    (void)events;
    if (w->fd < 0)
        return;
    ssize_t size;
    while ((size = read(w->fd, &r, sizeof r)) == (ssize_t)sizeof r) {
        if (r.kind == REPORT_STARTED) {
            s->command = r.pid;
            if (s->kill_at_ms) /* the stop was requested before the command existed */
                signal_step(s, SIGTERM);
        } else if (r.kind == REPORT_NOT_STARTED) {
            memcpy(s->outcome.end.error, r.error, sizeof r.error);
        } else if (r.kind == REPORT_EXITED) {
            s->command_reaped = 1;
            s->outcome.end.status = r.status;
        } else {
            memcpy(r.error, s->outcome.end.error, sizeof r.error);
            s->outcome.end = r;
            end_tree(s);
            return;
        }
    }
    if (size == 0)
        watch_change(w, 0); /* the reaper was killed; its SIGCHLD leads to replace_reaper */
}

void steps_reaped(pid_t pid, int status, const struct rusage *usage) {
    for (struct step *s = steps; s; s = s->next)
        if (s->phase == RUNNING)
            receive_reports(&s->reports, 0); /* an unread report may name this process as a command */
    for (struct step *s = steps; s; s = s->next) {
        if (s->phase != RUNNING)
            continue;
        if (pid == s->reaper) {
            s->reaper_gone = 1;
        } else if (pid == s->command) {
            s->command_reaped = 1;
            s->outcome.end.status = status;
            s->outcome.end.usage = *usage;
        }
        replace_reaper(s);
    }
}

void steps_stopped(pid_t pid) {
    for (struct step *s = steps; s; s = s->next)
        if (s->phase == RUNNING && pid == s->reaper)
            kill(pid, SIGCONT);
}

/* Both pipes of a step, with a large buffer for the output. Returns 0, or -1. */
static int open_pipes(const struct spec *spec, int output[2], int report[2]) {
    if (pipe2(output, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(report, O_CLOEXEC) < 0) {
        close(output[0]);
        close(output[1]);
        return -1;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    fcntl(output[1], F_SETPIPE_SZ, FRAME_BYTES);
    if (spec->user[0]) /* so that the step's user can open /dev/stderr */
        (void)!fchown(output[1], (uid_t)strtoul(spec->user, NULL, 10), (gid_t)-1);
    return 0;
}

/* Forks the reaper. Returns 0, or -1; then nothing is left of the attempt but the memory of `s`. */
static int fork_reaper(struct step *s) {
    int output[2], report[2];
    if (open_pipes(&s->spec, output, report) < 0)
        return -1;
    struct step_pipes pipes = {output[1], report[1], raw_sockets_begin(&s->raw_sockets, &s->spec)};
    s->reaper = fork();
    if (s->reaper == 0) {
        close(output[0]);
        close(report[0]);
        raw_sockets_close_copy(&s->raw_sockets);
        for (struct step *other = steps; other; other = other->next)
            raw_sockets_close_copy(&other->raw_sockets);
        reaper_run(&s->spec, &pipes);
    }
    int error = errno;
    close(pipes.output);
    close(pipes.report);
    if (pipes.raw_sockets >= 0)
        close(pipes.raw_sockets);
    if (s->reaper < 0) {
        raw_sockets_end(&s->raw_sockets);
        close(output[0]);
        close(report[0]);
        errno = error;
        return -1;
    }
    step_output_begin(s, output[0]);
    watch_begin(&s->reports, report[0], EPOLLIN, receive_reports, s);
    return 0;
}

struct step *step_start(struct spec *spec, void (*changed)(struct step *s)) {
    struct step *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->spec = *spec;
    s->changed = changed;
    s->phase = RUNNING;
    s->started_us = now_us();
    s->term_at_ms = spec->timeout_ms ? s->started_us / 1000 + spec->timeout_ms : 0;
    if (spool_open(&s->spool) < 0 || fork_reaper(s) < 0) {
        int error = errno;
        spool_release(&s->spool);
        free(s);
        errno = error;
        return NULL;
    }
    spec->command = spec->workdir = spec->shell = NULL;
    spec->env = NULL;
    spec->env_count = 0;
    s->next = steps;
    steps = s;
    return s;
}

static size_t stop_step(struct step *s) {
    if (!s->reaper_gone)
        return stop_descendants(s->reaper, NULL, NULL);
    return stop_descendants(getpid(), may_be_of_step, s);
}

int step_freeze(struct step *s) {
    if (s->phase != RUNNING || s->kill_at_ms)
        return 0;
    if (!s->frozen_at_ms)
        s->frozen_at_ms = now_ms();
    for (int pass = 0, still = 0; pass < FREEZE_PASSES; pass++) {
        still = stop_step(s) == 0 ? still + 1 : 0;
        if (still == 2)
            return 0;
        poll(NULL, 0, FREEZE_PAUSE_MS);
    }
    return -1;
}

void step_thaw(struct step *s) {
    if (!s->frozen_at_ms)
        return;
    if (s->term_at_ms)
        s->term_at_ms += now_ms() - s->frozen_at_ms;
    s->frozen_at_ms = 0;
    if (s->phase == RUNNING)
        signal_step(s, SIGCONT);
}

/* A frozen step is continued behind the signal, so that it can clean up. */
void step_kill(struct step *s) {
    if (s->phase != RUNNING || s->outcome.killed)
        return;
    s->outcome.killed = 1;
    s->kill_at_ms = now_ms() + s->spec.grace_ms;
    signal_step(s, SIGTERM);
    step_thaw(s);
}

static void tick(struct step *s, uint64_t now) {
    raw_sockets_tick(&s->raw_sockets, now);
    if (s->term_at_ms && !s->frozen_at_ms && now >= s->term_at_ms) {
        s->term_at_ms = 0;
        s->outcome.timed_out = !s->outcome.killed;
        s->kill_at_ms = now + s->spec.grace_ms;
        signal_step(s, SIGTERM);
    }
    if (s->kill_at_ms && now >= s->kill_at_ms) {
        s->kill_at_ms = now + KILL_AGAIN_MS;
        signal_step(s, SIGKILL);
    }
}

void steps_tick(uint64_t now) {
    for (struct step *s = steps; s; s = s->next)
        if (s->phase == RUNNING)
            tick(s, now);
}

static uint64_t earlier(uint64_t next, uint64_t planned) { return planned && planned < next ? planned : next; }

uint64_t steps_next_ms(void) {
    uint64_t next = NEVER_MS;
    for (struct step *s = steps; s; s = s->next)
        if (s->phase == RUNNING)
            next = earlier(earlier(earlier(next, raw_sockets_next_ms(&s->raw_sockets)), s->frozen_at_ms ? 0 : s->term_at_ms),
                           s->kill_at_ms);
    return next;
}
