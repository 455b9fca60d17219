#include "failure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fail(const char *what, const char *path, const char *hint) {
    const char *cause = errno ? strerror(errno) : "";
    fprintf(stderr, "danube: %s %s%s%s\n  hint: %s\n", what, path, *cause ? ": " : "", cause, hint);
    exit(1);
}
