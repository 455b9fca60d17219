/* The list of all steps of this container; see the header. */
#include "step.h"

#include <string.h>

struct step *steps;

struct step *step_find(const char *id, uint32_t attempt) {
    for (struct step *s = steps; s; s = s->next)
        if (s->spec.attempt == attempt && strcmp(s->spec.id, id) == 0)
            return s;
    return NULL;
}

int step_is_allowed(void) {
    size_t known = 0, running = 0;
    for (struct step *s = steps; s; s = s->next) {
        known++;
        running += s->phase != ENDED;
    }
    return running < MAX_RUNNING && known < MAX_STEPS;
}
