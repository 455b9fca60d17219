/* The file oom_score_adj of proc(5); see the header. */
#include "oom-score.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "checked.h"

#define FILE_OF_SCORE "/proc/self/oom_score_adj"

/* A process counts as if it used this many thousandths of the memory more. The range is -1000 to 1000. */
#define SCORE_OF_PODS "800"

void raise_oom_score(void) {
    char text[16] = "";
    int fd = open(FILE_OF_SCORE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        fail("read " FILE_OF_SCORE);
    close(fd);
    if (atoi(text) < atoi(SCORE_OF_PODS))
        write_file(FILE_OF_SCORE, SCORE_OF_PODS);
}
