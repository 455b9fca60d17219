/* System calls that end the program with a message on standard error when they fail. */
#ifndef DANUBE_CHECKED_H
#define DANUBE_CHECKED_H

/* Prints what failed and the reason in errno, and exits with 1. */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

void write_file(const char *path, const char *text);

/* argv: the program's path and its arguments. */
void become_program(char **argv) __attribute__((noreturn));

#endif
