/* Where PID 1 listens: an abstract socket named after the process namespace, so that it exists in any image and differs in
 * each container of a pod that shares its network namespace. */
#ifndef DANUBE_ADDRESS_H
#define DANUBE_ADDRESS_H

int listen_here(void);
int connect_here(void); /* also checks that the peer is PID 1 of this namespace */

#endif
