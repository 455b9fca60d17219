/* `danube-step run` and `danube-step kill`. */
#ifndef DANUBE_CLIENT_H
#define DANUBE_CLIENT_H

/* Passes standard input and output to PID 1 and waits for the end of the call. verb: 'r' for run, 'k' for kill. Returns the exit
 * code: 0, 1 when the request was refused, 2 when the call failed. */
int client(char verb);

#endif
