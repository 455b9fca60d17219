/* Programs that start in another unit of the machine than the server: the verbs `launcher` and `launch`. */
#ifndef DANUBE_LAUNCHER_H
#define DANUBE_LAUNCHER_H

/* Serves `launch` on the socket that systemd passed as descriptor 3. Returns 2 where it passed none. */
int launcher(char **argv);

/* Lets the launcher at a socket start a program with the arguments, the environment, the umask and every descriptor of this
 * process. Returns the program's exit code, or 1 with a message. */
int launch(char **argv);

#endif
