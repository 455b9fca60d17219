/* An image's file system with a container's changes on top, and the verb `overlay`. */
#ifndef DANUBE_OVERLAY_H
#define DANUBE_OVERLAY_H

/* Mounts at words[0] the directory words[1] with words[2] on top and words[3] as work directory. shifted: with the owners that
 * the holder's user namespace gives to the ids on the disk. options: further options of the file system, empty or `,NAME...`. */
void mount_overlay(const char *holder, int shifted, char **words, const char *options);

/* The verb: HOLDER shifted|plain TARGET LOWER UPPER WORK. */
int try_overlay(char **argv);

#endif
