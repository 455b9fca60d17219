/* The verb `within`. */
#ifndef DANUBE_WITHIN_H
#define DANUBE_WITHIN_H

/* Returns 1 when the maps cannot be written, 2 for wrong arguments. */
int within(char **argv);

#endif
