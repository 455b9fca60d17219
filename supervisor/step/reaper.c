/* A step's reaper; see the header. */
#define _GNU_SOURCE
#include "reaper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process-tree.h"
#include "report.h"

static void send_report(int fd, const struct report *r) {
    if (write(fd, r, sizeof *r) != sizeof *r)
        _exit(1);
}

/* Repeated, since a process may fork while the others are killed. Returns how many processes were killed. */
static uint32_t kill_leftovers(void) {
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

/* The command's wait status. The command is not reaped yet, so that its status is not lost if this process is killed before
 * it has reported it. */
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

static pid_t start_command(struct spec *spec, const struct step_pipes *pipes) {
    struct report r = {.kind = REPORT_STARTED};
    pid_t command = fork();
    if (command == 0)
        become_command(spec, pipes);
    if (command < 0) {
        r.kind = REPORT_NOT_STARTED;
        snprintf(r.error, sizeof r.error, "fork: %s", strerror(errno));
    }
    close(pipes->output);
    if (pipes->raw_sockets >= 0)
        close(pipes->raw_sockets);
    spec_free(spec);
    r.pid = command;
    send_report(pipes->report, &r);
    return command;
}

void reaper_run(struct spec *spec, const struct step_pipes *pipes) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    setsid();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t command = start_command(spec, pipes);
    struct report end = {.kind = REPORT_EXITED, .pid = command};
    if (command > 0) {
        end.status = wait_for(command);
        send_report(pipes->report, &end);
    }
    end.kind = REPORT_TREE_ENDED;
    end.leftovers = kill_leftovers();
    getrusage(RUSAGE_CHILDREN, &end.usage);
    send_report(pipes->report, &end);
    _exit(0);
}
