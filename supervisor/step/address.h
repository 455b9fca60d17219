/* Where PID 1 listens: an abstract socket named after the PID namespace, so that it exists in every image and differs between the
 * containers of a pod, which share their network namespace. */
#ifndef DANUBE_ADDRESS_H
#define DANUBE_ADDRESS_H

/* Both return a connected or listening socket, or -1. */
int listen_here(void);
int connect_here(void); /* only to PID 1 of this namespace */

#endif
