/* The verb `enter`. */
#ifndef DANUBE_ENTER_H
#define DANUBE_ENTER_H

/* Returns 2 for wrong arguments. */
int enter(char **argv);

#endif
