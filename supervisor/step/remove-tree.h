/* Removes an entry of a directory with all below it, as far as its user may. */
#ifndef DANUBE_REMOVE_TREE_H
#define DANUBE_REMOVE_TREE_H

void remove_entry(int directory, const char *name);

#endif
