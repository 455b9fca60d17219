/* The verb `listen`. */
#ifndef DANUBE_LISTEN_H
#define DANUBE_LISTEN_H

int listen_inside(char **argv);

#endif
