/* Which processes the kernel ends first when memory is short. */
#ifndef DANUBE_OOM_SCORE_H
#define DANUBE_OOM_SCORE_H

/* This process and what it starts are ended before all that has no score of its own: a pod's processes before the server. A
 * score that is higher already is kept, since only a privileged process may lower it. */
void raise_oom_score(void);

#endif
