/* `danube-step run`, `kill`, `freeze`, `thaw` and `end`. */
#ifndef DANUBE_CLIENT_H
#define DANUBE_CLIENT_H

/* Passes standard input and output to PID 1 and waits for the end of the call. verb: 'r' for run, 'k' for
 * kill, 'f' for freeze, 't' for thaw. Returns the exit
 * code: 0, 1 when the request was refused, 2 when the call failed. */
int client(char verb);

/* Ends PID 1 and with it the container, where PID 1 takes it from this process. Returns 1 where it does not. */
int end_container(void);

#endif
