/* The verb `hold`. */
#ifndef DANUBE_HOLD_H
#define DANUBE_HOLD_H

int hold(char **argv);

#endif
