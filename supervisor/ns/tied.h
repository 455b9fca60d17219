/* The verb `tied`. */
#ifndef DANUBE_TIED_H
#define DANUBE_TIED_H

/* Returns 1 when the parent has already ended. */
int tied_program(char **argv);

#endif
