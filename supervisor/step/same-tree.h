/* Whether two entries, with all below them, have the same types, modes, owners and contents. Times are not compared. */
#ifndef DANUBE_SAME_TREE_H
#define DANUBE_SAME_TREE_H

int is_same_tree(int directory, const char *name, int other_directory, const char *other_name, int depth);

#endif
