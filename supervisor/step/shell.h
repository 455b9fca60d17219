/* `danube-step shell`: an interactive shell, or one that reads commands from a pipe, for a user of the server.
 *
 * It reads records from standard input: a type, the size of the rest as u32, the rest.
 *   'E'  NAME=VALUE for the shell's environment; before 'S'
 *   'D'  the working directory; before 'S'
 *   'W'  rows and columns, each as u16: before 'S' the shell gets a terminal of that size, later that is its new size
 *   'S'  start the shell
 *   'I'  input
 *   'Z'  the end of the input; in a terminal as Control-D at the beginning of a line
 * What the shell prints goes to standard output as it is. The end of standard input itself, or of its reader, ends the shell. With
 * the shell every process that it has started ends. */
#ifndef DANUBE_SHELL_H
#define DANUBE_SHELL_H

/* Returns the shell's exit code, 128 and the signal that ended it, 127 for an image without a shell, or 2 for a malformed record. */
int shell(void);

#endif
