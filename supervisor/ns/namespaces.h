/* Joining a holder's namespaces, and a mount namespace of one's own. */
#ifndef DANUBE_NAMESPACES_H
#define DANUBE_NAMESPACES_H

/* Joins the user, IPC and UTS namespaces of a holder as their root. network: its network too. */
void join_namespaces(const char *holder, int network);

/* What is mounted from now on is seen by this process and its children only. */
void private_mounts(void);

#endif
