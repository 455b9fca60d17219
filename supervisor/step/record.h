/* The authenticated record of an ended step. */
#ifndef DANUBE_RECORD_H
#define DANUBE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "report.h"
#include "request.h"
#include "spool.h"

#define RECORD_BYTES 512 /* its fields are of bounded size and take less */

struct outcome {
    struct report end;
    int timed_out, killed;
    uint64_t wall_us;
};

/* Ends the spool's hash. Returns the size of the record. */
size_t record_write(uint8_t out[RECORD_BYTES], const struct spec *spec, const struct outcome *outcome, struct spool *output);

#endif
