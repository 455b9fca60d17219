/* Processes that outlive their caller, and the verb `detach`. */
#ifndef DANUBE_DETACH_H
#define DANUBE_DETACH_H

/* Ends this process and continues in a child with a session of its own, so that the caller is not its parent. It keeps the
 * descriptors. */
void detach(void);

/* The verb. Returns 2 for wrong arguments. */
int detach_program(char **argv);

#endif
