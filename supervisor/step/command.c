/* The last part of a step's own process before it becomes the command; see the header. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../descriptors.h"
#include "raw-sockets.h"
#include "report.h"

#define MORE_WORDS 2  /* `-c` and the command */
#define FIRST_FREE 64 /* where the report's descriptor is moved to, above all that the command inherits */

static void __attribute__((noreturn)) give_up(int fd, const char *stage, const char *what) {
    struct report r = {.kind = REPORT_NOT_STARTED};
    snprintf(r.error, sizeof r.error, "%s: %.80s: %s", stage, what, strerror(errno));
    if (write(fd, &r, sizeof r) < 0)
        _exit(126);
    _exit(127);
}

static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void add_environment(const struct spec *spec) {
    for (size_t i = 0; i < spec->env_count; i++) {
        char *equals = strchr(spec->env[i], '=');
        *equals = 0;
        setenv(spec->env[i], equals + 1, 1);
    }
}

/* The words as a shell splits them, without expanding anything: blanks, '…', "…", backslash. Behind them is room for
 * MORE_WORDS; NULL where there is none. */
static char **split(char *command) {
    size_t count = 0;
    char **words = calloc(strlen(command) / 2 + 2 + MORE_WORDS, sizeof *words), *out = command, *in = command;
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

static void become_user(const struct spec *spec, int report) {
    char *colon = strchr(spec->user, ':');
    if (!colon)
        return;
    gid_t group = (gid_t)strtoul(colon + 1, NULL, 10);
    uid_t user = (uid_t)strtoul(spec->user, NULL, 10);
    if (setgroups(1, &group) < 0 && errno != EPERM)
        give_up(report, "setgroups", spec->user);
    if (setresgid(group, group, group) < 0 || setresuid(user, user, user) < 0)
        give_up(report, "user", spec->user);
}

/* Standard input is empty, standard output and error are the step's pipe. Returns the report's new descriptor, which the
 * exec closes like every other. */
static int arrange_descriptors(const struct step_pipes *pipes) {
    int empty = open("/dev/null", O_RDONLY);
    if (empty < 0 || dup2(empty, 0) < 0)
        give_up(pipes->report, "open", "/dev/null");
    if (dup2(pipes->output, 1) < 0 || dup2(pipes->output, 2) < 0)
        give_up(pipes->report, "dup2", "output");
    int report = fcntl(pipes->report, F_DUPFD_CLOEXEC, FIRST_FREE);
    close_between(3, FIRST_FREE - 1);
    close_between((unsigned)report + 1, ~0u);
    return report;
}

/* What is executed: the shell with the command, or the command's own words in an image without a shell. `-e`: a command of
 * several lines fails at its first failing line, as in every CI system that users come from. */
static char **command_words(const struct spec *spec) {
    if (!spec->shell && access("/bin/sh", X_OK) != 0)
        return split(spec->command);
    char **words = split(spec->shell ? spec->shell : strdup("/bin/sh -e"));
    if (!words || !words[0])
        return NULL;
    size_t count = 0;
    while (words[count])
        count++;
    words[count] = "-c";
    words[count + 1] = spec->command;
    return words;
}

void become_command(struct spec *spec, const struct step_pipes *pipes) {
    reset_signals();
    setsid();
    raw_sockets_filter(pipes->raw_sockets);
    int report = arrange_descriptors(pipes);
    add_environment(spec);
    become_user(spec, report);
    if (spec->workdir && spec->workdir[0] && chdir(spec->workdir) < 0)
        give_up(report, "working directory", spec->workdir);
    char **words = command_words(spec);
    if (!words || !words[0]) {
        errno = ENOENT;
        give_up(report, "exec", "an empty command");
    }
    execvp(words[0], words);
    give_up(report, "exec", words[0]);
}
