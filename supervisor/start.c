/* A step's life as processes: PID 1 forks a reaper for it, the reaper forks the command and adopts whatever that leaves.
 *
 * The reaper waits for the command, kills what is left of its tree, and tells PID 1. Should a step kill its own reaper
 * (`kill -9 -1`), the command becomes PID 1's child and PID 1 does the reaper's work. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step.h"

extern char **environ;

struct step *steps; /* newest first */

struct step *step_find(const char *id, uint32_t attempt) {
    for (struct step *s = steps; s; s = s->next)
        if (s->spec.attempt == attempt && strcmp(s->spec.id, id) == 0)
            return s;
    return NULL;
}

/* --- in the command's process, before it becomes the command */

static void give_up(int fd, const char *stage, const char *what) {
    struct report r = {.kind = 'X'};
    snprintf(r.error, sizeof r.error, "%s: %.80s: %s", stage, what, strerror(errno));
    if (write(fd, &r, sizeof r) < 0)
        _exit(126);
    _exit(127);
}

static void add_environment(const struct spec *spec) {
    for (size_t i = 0; i < spec->env_count; i++) {
        char *equals = strchr(spec->env[i], '=');
        *equals = 0;
        setenv(spec->env[i], equals + 1, 1);
    }
}

/* Words as a shell would split them without expanding anything: blanks, '…', "…", backslash. */
static char **split(char *command) {
    size_t count = 0;
    char **words = calloc(strlen(command) / 2 + 2, sizeof *words), *out = command, *in = command;
    if (!words)
        return NULL;
    while (*in) {
        while (*in == ' ' || *in == '\t' || *in == '\n')
            in++;
        if (!*in)
            break;
        words[count++] = out;
        char quote = 0;
        for (; *in && (quote || (*in != ' ' && *in != '\t' && *in != '\n')); in++) {
            if (quote ? *in == quote : *in == '\'' || *in == '"')
                quote = quote ? 0 : *in;
            else if (*in == '\\' && quote != '\'' && in[1])
                *out++ = *++in;
            else
                *out++ = *in;
        }
        if (*in)
            in++;
        *out++ = 0;
    }
    return words;
}

static void become_user(const struct spec *spec, int fd) {
    char *colon = strchr(spec->user, ':');
    if (!colon)
        return;
    gid_t group = (gid_t)strtoul(colon + 1, NULL, 10);
    uid_t user = (uid_t)strtoul(spec->user, NULL, 10);
    if (setgroups(1, &group) < 0 && errno != EPERM)
        give_up(fd, "setgroups", spec->user);
    if (setresgid(group, group, group) < 0 || setresuid(user, user, user) < 0)
        give_up(fd, "user", spec->user);
}

static void become_command(struct spec *spec, int output, int report, int raw_sockets) {
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    setsid();
    raw_sockets_hand_over(raw_sockets);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing < 0 || dup2(nothing, 0) < 0)
        give_up(report, "open", "/dev/null");
    if (dup2(output, 1) < 0 || dup2(output, 2) < 0)
        give_up(report, "dup2", "output");
    int kept = fcntl(report, F_DUPFD_CLOEXEC, 64); /* out of the way, and closed by the exec */
    close_between(3, 63);
    close_between((unsigned)kept + 1, ~0u);
    add_environment(spec);
    become_user(spec, kept);
    if (spec->workdir && spec->workdir[0] && chdir(spec->workdir) < 0)
        give_up(kept, "working directory", spec->workdir);
    if (access("/bin/sh", X_OK) == 0) {
        char *words[] = {"/bin/sh", "-c", spec->command, NULL};
        execv(words[0], words);
        give_up(kept, "exec", words[0]);
    }
    char **words = split(spec->command);
    if (!words || !words[0]) {
        errno = ENOENT;
        give_up(kept, "exec", "an empty command");
    }
    execvp(words[0], words);
    give_up(kept, "exec", words[0]);
}

/* --- in the reaper's process */

static void tell(int fd, const struct report *r) {
    if (write(fd, r, sizeof *r) != sizeof *r)
        _exit(1);
}

static uint32_t kill_what_is_left(void) {
    uint32_t killed = 0;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid > 0)
            continue;
        if (pid < 0)
            return killed;
        killed += (uint32_t)signal_descendants(getpid(), SIGKILL, NULL, NULL);
        poll(NULL, 0, 1);
    }
}

/* The command's wait status, told to PID 1 before it is reaped: a reaper that is killed must not take it along. */
static int wait_for(pid_t command) {
    siginfo_t info;
    for (;;) {
        memset(&info, 0, sizeof info);
        if (waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) < 0) {
            if (errno != EINTR)
                return 0;
        } else if (info.si_pid == command) {
            return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
        } else {
            waitpid(info.si_pid, NULL, 0);
        }
    }
}

static void reap(struct spec *spec, int output, int report, int raw_sockets) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    struct report r = {.kind = 'P'};
    pid_t command = fork();
    if (command == 0)
        become_command(spec, output, report, raw_sockets);
    if (command < 0) {
        r.kind = 'X';
        snprintf(r.error, sizeof r.error, "fork: %s", strerror(errno));
        tell(report, &r);
    }
    close(output);
    if (raw_sockets >= 0)
        close(raw_sockets);
    spec_free(spec);
    r.pid = command;
    if (command > 0)
        tell(report, &r);
    int status = command > 0 ? wait_for(command) : 0;
    struct report end = {.kind = 'C', .pid = command, .status = status};
    if (command > 0)
        tell(report, &end);
    end.kind = 'E';
    end.leftovers = kill_what_is_left();
    getrusage(RUSAGE_CHILDREN, &end.usage);
    tell(report, &end);
    _exit(0);
}

/* --- in PID 1 */

static void close_step(struct step *s) {
    s->have_end = 1;
    s->wall_us = now_us() - s->started_us;
    watch_end(&s->reports);
    raw_sockets_end(&s->raw_sockets);
    s->phase = DRAINING;
    spec_free(&s->spec);
    spool_drain(s);
}

/* Which processes PID 1 must leave alone when it cleans up behind a step whose reaper is gone. */
static int is_of_that_step(pid_t pid, void *context) {
    if (is_exec_child(pid))
        return 0;
    for (struct step *s = steps; s; s = s->next)
        if (s != context && s->phase == RUNNING && (pid == s->reaper || pid == s->command))
            return 0;
    return 1;
}

static void take_over(struct step *s) {
    if (s->have_end || !s->reaper_gone)
        return;
    if (s->command <= 0) {
        snprintf(s->end.error, sizeof s->end.error, "its reaper was killed before the command began");
        s->end.kind = 'E';
        close_step(s);
    } else if (s->command_reaped) {
        s->end.kind = 'E';
        s->end.leftovers = (uint32_t)signal_descendants(getpid(), SIGKILL, is_of_that_step, s);
        close_step(s);
    }
}

static void signal_step(struct step *s, int number) {
    if (!s->reaper_gone)
        signal_descendants(s->reaper, number, NULL, NULL);
    else
        signal_descendants(getpid(), number, is_of_that_step, s);
}

static void reported(struct watch *w, uint32_t events) {
    struct step *s = w->owner;
    struct report r;
    (void)events;
    if (w->fd < 0)
        return;
    ssize_t size;
    while ((size = read(w->fd, &r, sizeof r)) == (ssize_t)sizeof r) {
        if (r.kind == 'P') {
            s->command = r.pid;
            if (s->kill_at_ms) /* it was to end before it was there to be told */
                signal_step(s, SIGTERM);
        } else if (r.kind == 'X') {
            memcpy(s->end.error, r.error, sizeof r.error);
        } else if (r.kind == 'C') {
            s->command_reaped = 1;
            s->end.status = r.status;
        } else {
            memcpy(r.error, s->end.error, sizeof r.error);
            s->end = r;
            close_step(s);
            return;
        }
    }
    if (size == 0)
        watch_change(w, 0); /* the reaper is gone without a last word; its SIGCHLD brings the rest */
}

void steps_reaped(pid_t pid, int status, const struct rusage *usage) {
    for (struct step *s = steps; s; s = s->next)
        if (s->phase == RUNNING)
            reported(&s->reports, 0); /* whose command is it? */
    for (struct step *s = steps; s; s = s->next) {
        if (s->phase != RUNNING)
            continue;
        if (pid == s->reaper) {
            s->reaper_gone = 1;
        } else if (pid == s->command) {
            s->command_reaped = 1;
            s->end.status = status;
            s->end.usage = *usage;
        }
        if (s->phase == RUNNING)
            take_over(s);
    }
}

/* 0, or -1 when the machine does not allow another process. */
int step_start(struct step *s) {
    int output[2], report[2];
    if (pipe2(output, O_CLOEXEC) < 0)
        return -1;
    if (pipe2(report, O_CLOEXEC) < 0) {
        close(output[0]);
        close(output[1]);
        return -1;
    }
    fcntl(output[1], F_SETPIPE_SZ, FRAME_BYTES);
    if (s->spec.user[0]) /* so that /dev/stderr can be opened by whom the step runs as */
        (void)!fchown(output[1], (uid_t)strtoul(s->spec.user, NULL, 10), (gid_t)-1);
    s->started_ms = now_ms();
    s->started_us = now_us();
    s->term_at_ms = s->spec.timeout_ms ? s->started_ms + s->spec.timeout_ms : 0;
    int raw_sockets = raw_sockets_begin(&s->raw_sockets, &s->spec);
    s->reaper = fork();
    if (s->reaper == 0) {
        close(output[0]);
        close(report[0]);
        raw_sockets_leave(&s->raw_sockets);
        for (struct step *other = steps; other; other = other->next)
            raw_sockets_leave(&other->raw_sockets);
        reap(&s->spec, output[1], report[1], raw_sockets);
    }
    close(output[1]);
    close(report[1]);
    if (raw_sockets >= 0)
        close(raw_sockets);
    if (s->reaper < 0) {
        raw_sockets_end(&s->raw_sockets);
        close(output[0]);
        close(report[0]);
        return -1;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    fcntl(report[0], F_SETFL, O_NONBLOCK);
    s->phase = RUNNING;
    spool_begin(s, output[0]);
    watch_begin(&s->reports, report[0], EPOLLIN, reported, s);
    return 0;
}

void step_kill(struct step *s) {
    if (s->phase != RUNNING || s->killed)
        return;
    s->killed = 1;
    s->kill_at_ms = now_ms() + s->spec.grace_ms;
    signal_step(s, SIGTERM);
}

void step_tick(struct step *s, uint64_t now) {
    if (s->phase != RUNNING)
        return;
    raw_sockets_tick(&s->raw_sockets, now);
    if (s->term_at_ms && now >= s->term_at_ms) {
        s->term_at_ms = 0;
        s->timed_out = !s->killed;
        s->kill_at_ms = now + s->spec.grace_ms;
        signal_step(s, SIGTERM);
    }
    if (s->kill_at_ms && now >= s->kill_at_ms) {
        s->kill_at_ms = now + 100; /* again, until the tree is gone */
        signal_step(s, SIGKILL);
    }
}

uint64_t step_next_ms(const struct step *s) {
    if (s->phase != RUNNING)
        return UINT64_MAX;
    uint64_t next = raw_sockets_next_ms(&s->raw_sockets);
    if (s->term_at_ms && s->term_at_ms < next)
        next = s->term_at_ms;
    return s->kill_at_ms && s->kill_at_ms < next ? s->kill_at_ms : next;
}
